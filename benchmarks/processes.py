"""Starting what is measured, and what it is measured against, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_LOOK_SECONDS = 0.05
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A process that ended well: its wall time, CPU time and peak memory, and what it printed."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


@dataclass(frozen=True, slots=True)
class Server:
    """A server in another process."""

    url: str

    def ask(self, path: str, changes: dict[str, Any] | None = None) -> Any:
        """The JSON at a control path; with ``changes`` they are posted."""
        data = None if changes is None else json.dumps(changes).encode()
        with _OPENER.open(self.url + path, data=data) as answer:
            return json.load(answer)


def run(command: Sequence[str], directory: Path, **environment: str) -> Ended:
    """Run Python with these arguments until it ends.

    Raises:
        RuntimeError: it did not end well.
    """
    started = time.perf_counter()
    with (directory / "stderr").open("w+") as errors, (directory / "stdout").open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=directory,
            env=_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        peak = 0
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            peak = max(peak, _peak_bytes(process.pid))
            time.sleep(_LOOK_SECONDS)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}:\n{errors.read()}")
        usage = ended[2]
        return Ended(
            seconds=seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_bytes=peak,
            output=output.read(),
        )


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[Server]:
    """A server that prints its port first and runs until killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=_environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.kill()
        process.wait()


def _environment(more: dict[str, str]) -> dict[str, str]:
    """This process's environment, with this very code to import and a key that is none."""
    here = {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "benchmark", "NO_PROXY": "127.0.0.1"}
    return {**os.environ, **here, **more}


def _peak_bytes(pid: int) -> int:
    """The most memory that a process has held (``VmHWM``; ``ru_maxrss`` begins with ours)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
