"""From a call to a request's body: its tokens, its worst case, its idempotency key.

- :mod:`.builder`: Request bodies, what they are charged with, and what they may cost at the worst.
- :mod:`.idempotency_keys`: The idempotency keys of one run: which key each call has, and what a
  kept answer proves.
"""
