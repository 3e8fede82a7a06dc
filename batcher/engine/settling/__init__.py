"""What answers do: results, dead letters, repairs; what failures do has a folder of its own.

- :mod:`.settler`: What an answer is: good, cut off, an error in a 200, or a failure.
- :mod:`.reading`: What a good answer holds: what it cost, and what the kind makes of it.
- :mod:`.text_views`: JSON whose long texts are not copied: vectors as base64 are most of an
  answer's bytes.
- :mod:`.outcomes`: What becomes of a call's pieces, one by one.
- :mod:`.vector_length`: Vectors of one length: what the answers say of it, until two of them agree.
- :mod:`.repairs`: What an answer does that was paid for and cannot be used.
- :mod:`.accounts`: What requests cost, written to their shards: known, or in doubt.
- :mod:`.arrivals`: What every answer says of the provider, whatever it holds.
- :mod:`.failing`: What failures do: another try, halves, a dead letter, a pause, or the end.
"""
