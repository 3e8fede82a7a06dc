"""Rows into shards, and the writer of the plan.

- :mod:`.attaching`: The attachments of rows: named by their kind, measured, told by their hashes.
- :mod:`.handover`: A long plan is handed over to a process of its own, as soon as that is ready.
- :mod:`.plan_writer`: The writer of a plan: shards into the store, under a lease of its own, from
  the cursor on.
- :mod:`.planned_row`: A row on its way into a shard: what was rendered of it, or why it has nothing
  to send.
- :mod:`.planner`: Rows into shards: prepared a batch at a time, and packed.
- :mod:`.rendering`: One row's texts, as its kind makes them: within its time, and whatever else it
  raises told.
- :mod:`.row_preparation`: Rows with their pieces: rendered, looked up, counted, and cut where they
  are too long.
- :mod:`.shard_in_making`: A shard being filled, until the packer takes no more.
- :mod:`.token_count`: How many tokens a kind's pieces take: their texts, and what frames them.
"""
