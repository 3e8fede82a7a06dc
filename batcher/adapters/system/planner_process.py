"""A process that plans: started here, and spoken to through its standard input and output.

What goes through the pipes is pickled, between two processes of one installation and one user. The
other side is :mod:`batcher.planner_process`. Whatever goes wrong there, nothing is told but that it
failed: who asked plans on from where it is, and meets the same fault.
"""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from batcher.ports import GuardStopped, NewShard
from batcher.ports.planning import PlanTask

READY: Final = b"+"
_MODULE: Final = "batcher.planner_process"


def start_planner_process(task: PlanTask) -> ChildPlanner | None:
    """Start one; None where there is nothing to gain by it, or it cannot be started."""
    if not sys.executable or _processors() < 2:
        return None
    paths = os.pathsep.join(path for path in sys.path if path)
    try:
        process = subprocess.Popen(  # noqa: S603  # ourselves
            [sys.executable, "-P", "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
        )
    except OSError:
        return None
    return ChildPlanner(process, task)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ChildPlanner:
    """Implements :class:`batcher.ports.planning.PlannerProcess`."""

    def __init__(self, process: subprocess.Popen[bytes], task: PlanTask) -> None:
        """``process`` is new; it is told the task."""
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin: Any = process.stdin
        self._stdout: Any = process.stdout
        self._ready = False
        self._stopped = False
        self._lock = threading.Lock()
        self.input_sha256: str | None = None
        self._tell(task)

    def __repr__(self) -> str:
        """Its number."""
        return f"<ChildPlanner {self._process.pid}>"

    def is_ready(self) -> bool:
        """See :class:`batcher.ports.planning.PlannerProcess`."""
        if not self._ready and not self._stopped:
            with suppress(OSError, ValueError):
                said = select.poll()
                said.register(self._stdout, select.POLLIN)
                self._ready = bool(said.poll(0))
        return self._ready

    def begin(self, next_row: int, next_shard: int) -> None:
        """See :class:`batcher.ports.planning.PlannerProcess`."""
        with suppress(OSError, ValueError):
            if self._stdout.read(1) == READY:
                self._tell((next_row, next_shard))

    def take(self) -> Sequence[NewShard] | None:
        """See :class:`batcher.ports.planning.PlannerProcess`."""
        try:
            said = pickle.load(self._stdout)  # noqa: S301  # our own process wrote it
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            said = None
        if self._stopped:
            raise GuardStopped
        if isinstance(said, list):
            return said
        self.stop()
        if isinstance(said, tuple):
            (self.input_sha256,) = said
            return ()
        return None

    def stop(self) -> None:
        """See :class:`batcher.ports.planning.PlannerProcess`."""
        with self._lock:
            self._stopped = True
            self._process.kill()
            self._process.wait()
        for pipe in (self._stdin, self._stdout):
            with suppress(OSError, ValueError):
                pipe.close()

    def _tell(self, value: object) -> None:
        with suppress(OSError):  # it has ended already, which shows when it is read from
            pickle.dump(value, self._stdin, protocol=pickle.HIGHEST_PROTOCOL)
            self._stdin.flush()
