"""The API: requests over HTTP, credentials, prices of models, tokens.

- :mod:`.answer_body`: The body of an answer, read in blocks and no further than a ceiling,
  decompressed.
- :mod:`.catalog`: What is known of models: prices and context windows, from the package
  ``genai-prices``.
- :mod:`.connection`: Connections on which an answer can only be that of the request that it was
  sent for.
- :mod:`.credential`: What a request is signed with, read from the environment by the names that a
  spec holds.
- :mod:`.http`: The hot path: one aiohttp session, keep-alive, one POST an answer, and no retries of
  its own.
- :mod:`.kept_facts`: What was looked up of models, kept in the user's cache: the catalog takes long
  to load.
- :mod:`.peeking`: Whether a socket holds bytes that nobody has read yet, asked before every
  request.
- :mod:`.posting`: One POST after the other over aiohttp's connections, with what they have in
  common made once.
- :mod:`.proxy`: The proxy between this machine and an API, by the names that every tool reads.
- :mod:`.recording`: Answers kept in a file, and given again: runs without a network, and what was
  really answered.
- :mod:`.time_limit`: ``asyncio.timeout`` for many tasks at a time, all with the same limit, at the
  cost of one timer.
- :mod:`.tokenizer`: Token counts by tiktoken, with its ranks taken from an installed package.
- :mod:`.transport_errors`: Why a request got no whole answer: aiohttp's exceptions as the product's
  own error.
"""
