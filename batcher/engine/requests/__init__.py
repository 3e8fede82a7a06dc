"""What a call says to the provider, and what it takes of the limits and of the money.

- :mod:`.attached`: Bodies that carry files: each is read when its request is made.
- :mod:`.builder`: Request bodies, and what the provider taught of how it wants to be asked.
- :mod:`.demand`: What a call takes: of the token limit, and of the money at the worst.
- :mod:`.idempotency_keys`: The idempotency keys of one run: which key each call has, and what a
  kept answer proves.
- :mod:`.output_limits`: How long the answer to a call may be: the limit of the output that its body
  sends.
- :mod:`.parts`: What one job's requests are made with, put together.
"""
