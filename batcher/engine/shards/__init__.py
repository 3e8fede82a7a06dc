"""A leased shard at work: its plan, its calls, its checkpoints.

- :mod:`.allowance`: How far leased shards may be sent until the next checkpoint, and what is
  reserved for that.
- :mod:`.answered`: The results of a leased shard as what keeps them for later jobs needs them: by
  content hash.
- :mod:`.arrow_records`: The columns of an Arrow input as they are kept with a shard: with their
  types, unlike in JSON.
- :mod:`.call`: One request in the making: which pieces it asks for, and what has become of it so
  far.
- :mod:`.checkpoint_writer`: The one writer of checkpoints: gathers what the shards settled and
  commits it, in groups.
- :mod:`.held_shards`: The shards that a run holds, until they are finished or somebody else's.
- :mod:`.leased_shard`: A leased shard at work: its calls, what is settled, and what the next
  checkpoint will say.
- :mod:`.payload`: What a shard carries: the outline of its plan, its prompts, its columns and its
  bills.
- :mod:`.pending`: What a leased shard's next checkpoint will say, gathered since the last one.
- :mod:`.piece_states`: Which pieces of a leased shard are still to be asked for.
- :mod:`.results`: Results as they are kept: one piece's as bytes, and those of some pieces as one
  blob.
- :mod:`.worklist`: A lease's worklist: its calls, how far they were sent, and how far they may be.
"""
