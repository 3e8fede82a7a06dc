"""Where jobs, shards and results are kept: SQLite or Postgres through SQLAlchemy, or memory.

- :mod:`.checksum`: Checksums of what is large and written once: a plan's two blobs, a checkpoint's
  results.
- :mod:`.codec`: The JSON in the tables' text columns, and rows as values of the core and back.
- :mod:`.damage`: What to say of a database that is damaged: where, and what is lost by it.
- :mod:`.database`: The seam below the SQL: who runs a transaction, where, and what its errors mean.
- :mod:`.deferred`: A store whose file is made by the first verb that needs one.
- :mod:`.delivering`: What a claim, and the end of an attempt, do to a delivery; the same in every
  store.
- :mod:`.lifecycle`: A job's moves, the same in every store.
- :mod:`.location`: Where a database is: what ``--db`` says, and whether SQLite may live there.
- :mod:`.memory`: The store in dictionaries, for tests and trials.
- :mod:`.migrate`: The schema's version: which one a database has, and the steps to the newest.
- :mod:`.open`: Opening a store: the one door to this package.
- :mod:`.order_codec`: Orders and schedules as rows, and back.
- :mod:`.postgres`: Postgres below the SQL: its connections, its errors, its schema, its lock.
- :mod:`.settlement`: What a checkpoint does to its shard and to its job's money.
- :mod:`.sql`: The verbs of the store in SQL, the same over SQLite and Postgres.
- :mod:`.sqlite`: SQLite below the SQL: its file, its writer, its schema.
"""

from batcher.adapters.store.open import open_store

__all__ = ["open_store"]
