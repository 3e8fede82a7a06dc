"""The store in SQL, the same over SQLite and Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batcher.adapters.store.sql.deliveries import SqlDeliveries
from batcher.adapters.store.sql.fleet import SqlFleet
from batcher.adapters.store.sql.jobs import SqlJobs
from batcher.adapters.store.sql.leases import SqlLeases
from batcher.adapters.store.sql.orders import SqlOrders
from batcher.adapters.store.sql.progress import SqlProgress
from batcher.adapters.store.sql.purge import SqlPurge
from batcher.adapters.store.sql.results import SqlResults
from batcher.adapters.store.sql.schedules import SqlSchedules

if TYPE_CHECKING:
    from types import TracebackType

    from batcher.adapters.store.database import Database
    from batcher.adapters.store.sql.progress import KeepAnswers


class SqlStore(
    SqlJobs,
    SqlPurge,
    SqlLeases,
    SqlProgress,
    SqlResults,
    SqlFleet,
    SqlOrders,
    SqlSchedules,
    SqlDeliveries,
):
    """All verbs over one :class:`Database`; open it with :func:`.open.open_store`."""

    def __init__(self, database: Database, keep_answers: KeepAnswers | None = None) -> None:
        """``keep_answers``: see :class:`batcher.adapters.store.sql.progress.SqlProgress`."""
        self._database = database
        self._keep_answers = keep_answers

    def __repr__(self) -> str:
        return f"SqlStore({self._database.name})"

    async def __aenter__(self) -> SqlStore:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def room_bytes(self) -> int | None:
        """See :meth:`batcher.ports.Store.room_bytes`."""
        return self._database.room_bytes()

    async def close(self) -> None:
        """See :meth:`batcher.ports.Store.close`."""
        await self._database.close()
