"""What one row's request has of its own, besides its texts.

- :mod:`.asked`: What the pieces of a shard ask for: texts, and what else their rows' requests have.
- :mod:`.attachments`: Files that go with it: what a plan keeps of one, and what a kind gets of it.
- :mod:`.parameters`: Parameters of its own: which there may be, and its output cap.
"""
