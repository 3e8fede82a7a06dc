"""One module for each command about jobs that are there already.

- :mod:`.cancel`: ``batcher cancel``.
- :mod:`.errors`: ``batcher errors``.
- :mod:`.export`: ``batcher export``.
- :mod:`.listing`: ``batcher jobs``.
- :mod:`.pause`: ``batcher pause`` and ``batcher resume``.
- :mod:`.remove`: ``batcher rm``.
- :mod:`.results`: ``batcher results``.
- :mod:`.retry`: ``batcher retry``.
- :mod:`.status`: ``batcher status``.
- :mod:`.watch`: ``batcher watch``.
"""
