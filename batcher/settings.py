"""What a runner needs besides its jobs, and what of it stands in the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from batcher.adapters.store.open import PATIENCE_SECONDS
from batcher.adapters.store.postgres.address import PostgresAddress, is_postgres
from batcher.adapters.system.private_files import STATE_DIRECTORY
from batcher.core.errors import UsageError


def base_url_of_environment() -> str | None:
    """Where the API is, as far as the environment says."""
    return os.environ.get("BATCHER_BASE_URL") or os.environ.get("OPENAI_BASE_URL") or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a runner needs besides its jobs.

    ``database_url`` is a path, ``sqlite:///PATH`` or ``postgresql://…``; None is
    ``.batcher/batcher.db`` in the working directory. ``create`` makes one that is not there.
    ``database_timeout_seconds`` is how long a Postgres that goes away is waited for. ``redis_url``
    is where workers are rung for. ``lease_seconds`` is how long a worker that died holds a shard.
    ``replay`` is a file of recorded answers, for jobs whose ``via`` is ``replay``; ``record`` is
    one that answers are added to, with what was asked if ``record_requests``. ``providers``,
    ``allow_source`` and ``allow_destination`` are what a worker lets jobs reach
    (:func:`batcher.wiring_providers.reach_of`); nothing else heeds them.
    """

    database_url: str | None = field(default=None, repr=False)
    database_timeout_seconds: float = PATIENCE_SECONDS
    create: bool = True
    redis_url: str | None = field(default=None, repr=False)
    lease_seconds: float = 30.0
    replay: str | os.PathLike[str] | None = None
    record: str | os.PathLike[str] | None = None
    record_requests: bool = False
    providers: tuple[str, ...] = ()
    allow_source: tuple[str, ...] = ()
    allow_destination: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls) -> Settings:
        """What the environment says: the databases, and what a worker lets jobs reach.

        Raises:
            UsageError: ``BATCHER_DATABASE_TIMEOUT`` is no number.
        """
        try:
            timeout = float(os.environ.get("BATCHER_DATABASE_TIMEOUT") or PATIENCE_SECONDS)
        except ValueError as exc:
            raise UsageError("BATCHER_DATABASE_TIMEOUT is a number of seconds") from exc
        return cls(
            database_url=os.environ.get("BATCHER_DATABASE_URL") or None,
            database_timeout_seconds=timeout,
            redis_url=os.environ.get("BATCHER_REDIS_URL") or None,
            providers=_lines("BATCHER_WORKER_PROVIDERS"),
            allow_source=_lines("BATCHER_ALLOW_SOURCE"),
            allow_destination=_lines("BATCHER_ALLOW_DESTINATION"),
        )

    @property
    def location(self) -> str:
        """Where the database is."""
        return self.database_url or str(STATE_DIRECTORY / "batcher.db")

    @property
    def is_shared(self) -> bool:
        """Whether other machines may work on the database, too."""
        return is_postgres(self.location)

    @property
    def place(self) -> str:
        """What to call it in a message: without the password, if it has one."""
        url = self.location
        return PostgresAddress.parse(url).name if is_postgres(url) else url


def _lines(variable: str) -> tuple[str, ...]:
    """The texts in a variable, one a line."""
    lines = os.environ.get(variable, "").splitlines()
    return tuple(line.strip() for line in lines if line.strip())
