"""A leased shard at work: its plan, its calls, its checkpoints.

- :mod:`.arrow_records`: The columns of an Arrow input as they are kept with a shard: with their
  types, unlike in JSON.
- :mod:`.call`: One request in the making: which pieces it asks for, and what has become of it so
  far.
- :mod:`.checkpoint_writer`: The one writer of checkpoints: gathers what the shards settled and
  commits it, in groups.
- :mod:`.leased_shard`: A leased shard at work: its calls, what is settled, and what the next
  checkpoint will say.
- :mod:`.payload`: What a shard carries: the outline of its plan, its prompts, its columns and its
  bills.
- :mod:`.results`: Results as they are kept: one piece's as bytes, and those of some pieces as one
  blob.
"""
