"""The verbs of the store in SQL, the same over SQLite and Postgres.

- :mod:`.columns`: What tables are made of that no database has as it is needed here.
- :mod:`.deliveries`: The verbs of :class:`batcher.ports.DeliveryStore` in SQL.
- :mod:`.fleet`: The verbs of :class:`batcher.ports.FleetStore` in SQL.
- :mod:`.grants`: How shards are picked and granted: one statement on a server, two under SQLite's
  one writer.
- :mod:`.jobs`: The verbs of :class:`batcher.ports.JobStore` in SQL.
- :mod:`.leases`: The verbs of :class:`batcher.ports.ShardStore` that plan and lease, in SQL.
- :mod:`.models`: The truth about the tables. No class of these is used when a database is: see
  below.
- :mod:`.orders`: The verbs of :class:`batcher.ports.OrderStore` in SQL.
- :mod:`.progress`: The verbs of :class:`batcher.ports.ShardStore` that move a shard on, in SQL.
- :mod:`.purge`: The verbs of :class:`batcher.ports.JobStore` that delete jobs, in SQL.
- :mod:`.results`: The verbs of :class:`batcher.ports.ShardStore` that read what is done, in SQL.
- :mod:`.schedules`: The verbs of :class:`batcher.ports.ScheduleStore` in SQL.
- :mod:`.store`: The store in SQL, the same over SQLite and Postgres.
- :mod:`.tables`: The tables, for statements of SQLAlchemy Core. Made by scripts/make-tables; do not
  edit.
"""
