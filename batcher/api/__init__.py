"""The Python API: what ``import batcher`` offers to programs that do not wait for anything.

``running`` runs jobs, as the command line does, on a thread of its own; ``texts`` has the shortcuts
from texts to values; ``inputs`` says what may be an input; ``words`` says messages in keywords.
"""
