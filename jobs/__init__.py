"""The kinds of work that come with batcher, one a module."""
