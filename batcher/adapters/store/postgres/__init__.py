"""Postgres below the SQL: its connections, its errors, its schema, its lock.

- :mod:`.address`: Where a Postgres is: libpq's own URI, and a name for it that holds no secret.
- :mod:`.database`: Postgres: a few connections, each transaction one call in a thread, tried again
  as need be.
- :mod:`.faults`: What an error of Postgres means: whether to try again, and what the user should
  do.
- :mod:`.lock`: One run a job on a whole server: an advisory lock, held by a connection of its own.
- :mod:`.schema`: The schema of a Postgres: never changed unasked, and by one at a time.
"""
