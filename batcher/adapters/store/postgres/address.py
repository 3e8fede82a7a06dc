"""Where a Postgres is: libpq's own URI, and a name for it that holds no secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from batcher.core.errors import UnusableStore, UsageError

_SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")
_MALFORMED = (
    "--db: this is not a Postgres URL: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and "
    "special characters of the password in percent notation, such as %40 for @"
)


def is_postgres(url: str) -> bool:
    """Whether ``--db`` names a Postgres."""
    return url.startswith(_SCHEMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresAddress:
    """How to connect, and what to call it in messages.

    ``options`` are libpq's, by keyword, the password among them; what is missing libpq takes from
    its environment (``PGPASSWORD``, ``PGSERVICE``, ``~/.pgpass``).
    """

    name: str
    options: dict[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> PostgresAddress:
        """What a URL says, as libpq reads it: several hosts, options and TLS included.

        Raises:
            UsageError: it cannot be read. The message does not quote it.
            UnusableStore: the driver is not installed.
        """
        import_driver()
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        scheme = next(scheme for scheme in _SCHEMES if url.startswith(scheme))
        try:
            options = conninfo_to_dict("postgresql://" + url[len(scheme) :])
        except ProgrammingError:
            options = None
        if options is None or not _is_sound(options):  # beyond the clause: no context, no quote
            raise UsageError(_MALFORMED)
        return cls(name=_name(options), options=options)


def import_driver() -> None:
    """Import psycopg, or say how to come by it.

    Raises:
        UnusableStore: it is not there.
    """
    try:
        import psycopg  # noqa: F401
    except ImportError as exc:
        raise UnusableStore(
            "a Postgres database needs psycopg: pip install 'psycopg[binary]', or the extra "
            "[postgres] with batcher-jobs"
        ) from exc


def _is_sound(options: dict[str, Any]) -> bool:
    """Whether no part of a password went astray into what a message would show."""
    shown = [str(options.get(key, "")) for key in ("user", "host", "dbname")]
    ports = str(options.get("port", "")).split(",")
    return not any("@" in part for part in shown[1:]) and all(
        not port or port.isdigit() for port in ports
    )


def _name(options: dict[str, Any]) -> str:
    user = f"{options['user']}@" if options.get("user") else ""
    hosts = str(options.get("host", "")).split(",")
    ports = str(options.get("port", "")).split(",")
    if len(ports) < len(hosts):
        ports *= len(hosts)
    places = ",".join(
        f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=False)
    )
    return f"postgresql://{user}{places}/{options.get('dbname', '')}"
