"""Where jobs, shards and results are kept: SQLite through SQLAlchemy, or memory."""
