"""All that the engine reaches the world by; chosen in :mod:`batcher.wiring`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from batcher.core.throttle.slots import Slots
from batcher.engine.byte_room import ByteRoom
from batcher.ports import NoGuard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from pathlib import Path
    from typing import Any

    from batcher.core.failures.verdicts import Chance
    from batcher.core.job.schedule import DueTimes
    from batcher.core.job.spec import JobSpec
    from batcher.core.limits import ModelFacts
    from batcher.engine.job.results import Access
    from batcher.engine.routes.route import MakeRoute
    from batcher.ports import (
        AttachmentFiles,
        Clock,
        Doorbell,
        Draft,
        InputSource,
        KindRegistry,
        OutputSchema,
        OutputSink,
        Provider,
        ReuseStrategy,
        RowGuard,
        RowIndex,
        Seen,
        SinkRequest,
        Store,
        TableSink,
        Throttle,
        Tokenizer,
    )
    from batcher.ports.planning import PlannerProcess, PlanTask


def _allow(spec: JobSpec, output: str | None, *, reads: bool) -> None:
    """Whoever asks may do whatever a job says."""
    del spec, output, reads


def _plan_here(task: PlanTask) -> PlannerProcess | None:
    """No process of its own for any plan."""
    del task
    return None


class CheckAsked(Protocol):
    """Refuses what whoever asks may not have done."""

    def __call__(self, spec: JobSpec, output: str | None, *, reads: bool) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An open way to a provider: where to post, which quota that shares, what is to be hidden.

    ``make_route`` makes the route that a run's calls take there.
    """

    provider: Provider
    throttle: Throttle
    quota: str
    secrets: tuple[str, ...] = field(repr=False)
    make_route: MakeRoute
    charges_prompt_too: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What the engine needs of files: the functions of the files adapter."""

    check_form: Callable[[SinkRequest], None]
    check_place: Callable[[SinkRequest], None]
    open_sink: Callable[[SinkRequest], OutputSink]
    draft_records: Callable[[Path, AsyncIterator[Mapping[str, Any]], Seen], Awaitable[Draft]]
    draft_json: Callable[[Path, Mapping[str, Any], Seen], Draft]
    read_json: Callable[[Path], Mapping[str, Any] | None]
    read_drafts: Callable[[Path], list[Mapping[str, Any]]]
    read_text: Callable[[str], str]
    look: Callable[[Path], Seen]
    is_same: Callable[[Path, Path], bool]
    is_part_of: Callable[[Path, Path], bool]
    open_table: Callable[[OutputSchema], TableSink]
    state: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One of each.

    ``choose_provider`` gives a job what the provider that it names says of itself, and raises
    :class:`batcher.core.errors.UsageError` where there is none; ``check_connection`` raises it
    where the environment lacks what a spec names, or has what cannot be used; ``due_times``, of a
    cron expression and a time zone, where they mean nothing. Where a worker's operator does not
    allow what a job asks for, ``check_connection``, ``connect`` and all that opens inputs and
    outputs raise :class:`batcher.core.errors.NotAllowed`. ``check_asked`` does so where a job is
    left to workers, which may be allowed more than who asks them: with the output that they are to
    write, and whether they are to read the input.
    ``lock`` raises :class:`batcher.core.errors.JobInUse`. ``lease_seconds`` is
    how long a worker that died holds a shard; ``slots`` are the requests that may be in flight,
    ``room`` the memory for their answers. ``open_guard`` gives what keeps a row's time while a
    plan is made, ``start_planner`` a process that makes it, or None. ``access`` gives reports the
    results of their jobs. ``strategies`` say which rows of any job need no call, after what the job
    itself says of that, in this order.
    """

    store: Store
    clock: Clock
    chance: Chance
    kinds: KindRegistry
    files: Files
    open_tokenizer: Callable[[str, str | None], Tokenizer]
    model_facts: Callable[[str, str, str], ModelFacts]
    choose_provider: Callable[[JobSpec], JobSpec]
    check_connection: Callable[[JobSpec], None]
    connect: Callable[[JobSpec], AbstractAsyncContextManager[Connection]]
    open_source: Callable[[JobSpec], Awaitable[InputSource]]
    open_attachments: Callable[[JobSpec], AttachmentFiles]
    due_times: Callable[[str, str], DueTimes]
    lock: Callable[[str], AbstractContextManager[None]]
    doorbell: Doorbell
    open_index: Callable[[], RowIndex]
    version: str
    lease_seconds: float = 30.0
    slots: Slots = field(default_factory=Slots)
    room: ByteRoom = field(default_factory=ByteRoom)
    open_guard: Callable[[], RowGuard] = NoGuard
    start_planner: Callable[[PlanTask], PlannerProcess | None] = _plan_here
    access: Access | None = None
    strategies: Sequence[ReuseStrategy] = ()
    check_asked: CheckAsked = _allow
