"""What a provider answers when nothing is wrong; all of it chosen deterministically.

- :mod:`.answers`: Results: what a provider answers when nothing is wrong, and what it spoils when
  asked to.
- :mod:`.choices`: Deterministic choice: an endless stream of numbers that is a pure function of a
  key.
- :mod:`.instances`: Instances of JSON schemas: valid, and chosen deterministically.
- :mod:`.vectors`: Embeddings: unit vectors that are a pure function of text, model and dimensions.
- :mod:`.words`: The vocabulary of simulated answers: 256 words, so that one byte chooses one.
"""
