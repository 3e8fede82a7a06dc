"""What an answer or a failure does: results, dead letters, repairs, another try, a pause.

- :mod:`.failures`: What a failure does: another try, halves, a dead letter, a pause, or the end of
  the run.
- :mod:`.known_good`: A request that is known to be good, sent once more to tell a refused row from
  a refused key.
- :mod:`.reading`: What a good answer holds: what it cost, and what the kind makes of it.
- :mod:`.settler`: What an answer does: results, dead letters, repairs; what a failure does is next
  door.
- :mod:`.unproven_failures`: Failures held back until a success elsewhere proves that they are the
  calls' own.
- :mod:`.vector_length`: Vectors of one length: what the answers say of it, until two of them agree.
"""
