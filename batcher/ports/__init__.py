"""The seams of the engine. Each docstring is the contract that every adapter's test suite checks.

Adapters implement these; the engine awaits them and knows nothing behind them. All times are
seconds: ``now`` is monotonic within a process, ``wall`` is Unix time.
"""

from batcher.ports.attachments import AttachmentFiles
from batcher.ports.deliveries import DeliveryLease, DeliveryState, DeliveryStore
from batcher.ports.events import LEVELS, Doorbell, Event, Fact, Level, Log, NoDoorbell
from batcher.ports.files import (
    Destination,
    Draft,
    InputSource,
    OutputBatch,
    OutputSchema,
    OutputSink,
    ReportingSink,
    ResumableSink,
    Seen,
    SinkRequest,
    Source,
    SourceRequest,
    TableSink,
)
from batcher.ports.fleet import FleetStore, WorkerCard, WorkerState
from batcher.ports.meter import Family, Fate, Meter, RequestFact, Sample, Trace
from batcher.ports.orders import Blueprint, Order, OrderState, OrderStore
from batcher.ports.planning import (
    Carried,
    EncodedPlan,
    FormerRow,
    GuardStopped,
    NewShard,
    NoGuard,
    RowGuard,
    RowIndex,
    RowOverran,
)
from batcher.ports.provider import JSON_TYPE, MOST_ANSWER_BYTES, AnswerRoom, Provider, Reply
from batcher.ports.schedules import Firing, Schedule, ScheduleStore
from batcher.ports.store.jobs import (
    JobChanges,
    JobOpenings,
    JobPurges,
    JobReads,
    JobStore,
    Space,
)
from batcher.ports.store.shards import (
    BudgetShort,
    Checkpoint,
    CheckpointStore,
    FailureStore,
    Lease,
    LeaseStore,
    PlanStore,
    ResultStore,
    ShardOutline,
    ShardStore,
    StoredShard,
)
from batcher.ports.store.whole import Room, Store
from batcher.ports.throttle import Grant, Throttle
from batcher.ports.time import Clock
from batcher.ports.tokenizer import KindRegistry, Tokenizer

__all__ = [
    "JSON_TYPE",
    "LEVELS",
    "MOST_ANSWER_BYTES",
    "AnswerRoom",
    "AttachmentFiles",
    "Blueprint",
    "BudgetShort",
    "Carried",
    "Checkpoint",
    "CheckpointStore",
    "Clock",
    "DeliveryLease",
    "DeliveryState",
    "DeliveryStore",
    "Destination",
    "Doorbell",
    "Draft",
    "EncodedPlan",
    "Event",
    "Fact",
    "FailureStore",
    "Family",
    "Fate",
    "Firing",
    "FleetStore",
    "FormerRow",
    "Grant",
    "GuardStopped",
    "InputSource",
    "JobChanges",
    "JobOpenings",
    "JobPurges",
    "JobReads",
    "JobStore",
    "KindRegistry",
    "Lease",
    "LeaseStore",
    "Level",
    "Log",
    "Meter",
    "NewShard",
    "NoDoorbell",
    "NoGuard",
    "Order",
    "OrderState",
    "OrderStore",
    "OutputBatch",
    "OutputSchema",
    "OutputSink",
    "PlanStore",
    "Provider",
    "Reply",
    "ReportingSink",
    "RequestFact",
    "ResultStore",
    "ResumableSink",
    "Room",
    "RowGuard",
    "RowIndex",
    "RowOverran",
    "Sample",
    "Schedule",
    "ScheduleStore",
    "Seen",
    "ShardOutline",
    "ShardStore",
    "SinkRequest",
    "Source",
    "SourceRequest",
    "Space",
    "Store",
    "StoredShard",
    "TableSink",
    "Throttle",
    "Tokenizer",
    "Trace",
    "WorkerCard",
    "WorkerState",
]
