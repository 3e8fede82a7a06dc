"""Rows into shards, and the writer of the plan.

- :mod:`.handover`: A long plan is handed over to a process of its own, as soon as that is ready.
- :mod:`.plan_writer`: The writer of a plan: shards into the store, under a lease of its own, from
  the cursor on.
- :mod:`.planned_row`: A row on its way into a shard: what was rendered of it, or why it has nothing
  to send.
- :mod:`.planner`: Rows into shards: render, count tokens, cut what is too long, pack.
- :mod:`.rendering`: One row's texts, as its kind makes them: within its time, and whatever else it
  raises told.
- :mod:`.token_count`: How many tokens a kind's pieces take: their texts, and what frames them.
"""
