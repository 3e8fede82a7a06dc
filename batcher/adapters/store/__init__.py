"""Where jobs, shards and results are kept: SQLite or Postgres through SQLAlchemy, or memory."""

from batcher.adapters.store.open import open_store

__all__ = ["open_store"]
