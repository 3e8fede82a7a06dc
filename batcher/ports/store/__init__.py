"""The database: jobs, shards, leases and checkpoints, as each of their users needs them.

- :mod:`.jobs`: Jobs, cut by who uses them: read, moved, opened, deleted.
- :mod:`.shards`: Shards, cut by who uses them: planned, leased, checkpointed, read.
- :mod:`.whole`: The whole database: what a store implements.
"""
