"""What kinds of jobs share, those that come with batcher and anybody's.

- :mod:`.sandbox`: Jinja2 templates that cannot occupy the process.
- :mod:`.metering`: how much they may do, :mod:`.costs`: what single filters and methods would.
"""
