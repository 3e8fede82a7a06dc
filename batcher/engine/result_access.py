"""The results of jobs for whoever holds their reports: read from the database, and waited for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batcher.core.errors import UsageError
from batcher.engine.loop_thread import LoopThread
from batcher.ports import OutputBatch

if TYPE_CHECKING:
    from batcher.engine.job.results import Failed, Result
    from batcher.engine.runner import Runner

_THREAD = "batcher results"


@dataclass(frozen=True, slots=True)
class ResultAccess:
    """Implements :class:`batcher.engine.job.results.Access`; opens a runner while it reads.

    ``index`` is that of the pandas frame which was the input, if there was one.
    """

    open_runner: Callable[[], AbstractAsyncContextManager[Runner]] = field(repr=False)
    index: Any = field(default=None, repr=False)

    def results(self, job_id: str, failed: Failed) -> Iterator[Result]:
        """See :class:`batcher.engine.job.report.Report`."""
        from batcher.engine.job.results import results_of  # numpy takes a while to import

        with LoopThread(_THREAD) as thread, _Opened(self, thread) as runner:
            fields = thread.call(runner.records.fields(job_id))
            for batch in _pull(thread, runner.records.batches(job_id, failed)):
                yield from results_of(batch, fields)

    def batches(self, job_id: str, failed: Failed) -> Iterator[OutputBatch]:
        """The same as batches of records."""
        with LoopThread(_THREAD) as thread, _Opened(self, thread) as runner:
            yield from _pull(thread, runner.records.batches(job_id, failed))

    def arrow(self, job_id: str, failed: Failed) -> Any:
        """See :meth:`batcher.engine.job.report.Report.to_arrow`."""
        with LoopThread(_THREAD) as thread, _Opened(self, thread) as runner:
            return thread.call(runner.records.table(job_id, failed))

    def pandas(self, job_id: str, failed: Failed) -> Any:
        """See :meth:`batcher.engine.job.report.Report.to_pandas`."""
        table = self.arrow(job_id, failed)
        try:
            frame = table.to_pandas()
        except ImportError as exc:
            raise UsageError("pandas is not installed: pip install pandas") from exc
        if self.index is None or len(frame) != len(self.index):
            return frame
        names = [name for name in self.index.names if name in frame.columns]
        return frame.drop(columns=names).set_axis(self.index, axis=0)

    def polars(self, job_id: str, failed: Failed) -> Any:
        """See :meth:`batcher.engine.job.report.Report.to_polars`."""
        try:
            import polars as pl
        except ImportError as exc:
            raise UsageError("polars is not installed: pip install polars") from exc
        return pl.from_arrow(self.arrow(job_id, failed))


class _Opened:
    """A runner in a thread's loop, opened and closed by a caller who has no loop."""

    def __init__(self, access: ResultAccess, thread: LoopThread) -> None:
        self._access = access
        self._thread = thread
        self._stack = AsyncExitStack()

    def __enter__(self) -> Runner:
        return self._thread.call(self._stack.enter_async_context(self._access.open_runner()))

    def __exit__(self, *_: object) -> None:
        self._thread.call(self._stack.aclose())


def _pull(thread: LoopThread, batches: AsyncGenerator[OutputBatch, None]) -> Iterator[OutputBatch]:
    """Batches of a thread's loop, each when it is asked for."""

    async def read() -> OutputBatch | None:
        return await anext(batches, None)

    try:
        while (batch := thread.call(read())) is not None:
            yield batch
    finally:
        thread.call(batches.aclose())
