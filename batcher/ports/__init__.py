"""The seams of the engine. Each docstring is the contract that every adapter's test suite checks.

Adapters implement these; the engine awaits them and knows nothing behind them. All times are
seconds: ``now`` is monotonic within a process, ``wall`` is Unix time.
"""

from batcher.ports.events import Doorbell, Event, Fact, Log
from batcher.ports.files import InputSource, OutputBatch, OutputSchema, OutputSink
from batcher.ports.fleet import FleetStore, WorkerCard, WorkerState
from batcher.ports.provider import Provider, Reply
from batcher.ports.store import (
    BudgetShort,
    Checkpoint,
    JobStore,
    Lease,
    NewShard,
    ShardStore,
    Store,
    StoredShard,
)
from batcher.ports.throttle import Grant, Throttle
from batcher.ports.time import Clock
from batcher.ports.tokenizer import KindRegistry, Tokenizer

__all__ = [
    "BudgetShort",
    "Checkpoint",
    "Clock",
    "Doorbell",
    "Event",
    "Fact",
    "FleetStore",
    "Grant",
    "InputSource",
    "JobStore",
    "KindRegistry",
    "Lease",
    "Log",
    "NewShard",
    "OutputBatch",
    "OutputSchema",
    "OutputSink",
    "Provider",
    "Reply",
    "ShardStore",
    "Store",
    "StoredShard",
    "Throttle",
    "Tokenizer",
    "WorkerCard",
    "WorkerState",
]
