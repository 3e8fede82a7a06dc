"""The database schema, step by step.

``HEAD`` is the newest revision; a test holds it to the files. Opening a database that stands there
needs no alembic.
"""

HEAD = "0012"
