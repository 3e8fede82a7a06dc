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
from tempfile import TemporaryFile
from typing import Any

ROOT = Path(__file__).parent.parent
_LOOK_SECONDS = 0.01
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A process that ended well: its wall time, CPU time and peak memory, and what it printed."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.output)


@dataclass(frozen=True, slots=True)
class Server:
    """A server in another process; ``base_url`` is that of OpenAI clients."""

    base_url: str

    def ask(self, path: str) -> Any:
        """The JSON at a control path."""
        with _OPENER.open(self.base_url.removesuffix("/v1") + path) as answer:
            return json.load(answer)


def run(command: Sequence[str], directory: Path) -> Ended:
    """Run Python with these arguments until it ends.

    Raises:
        RuntimeError: it did not end well.
    """
    started = time.perf_counter()
    with TemporaryFile("w+") as errors, TemporaryFile("w+") as output:  # others run here, too
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=directory,
            env=_environment(),
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


def start(command: Sequence[str], directory: Path, **more: str) -> subprocess.Popen[bytes]:
    """Start Python with these arguments, and ``more`` environment, for the caller to end."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=directory,
        env=_environment() | more,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def serving(*command: str) -> Iterator[Server]:
    """A server that prints its ``base_url`` as JSON first and runs until killed."""
    process = subprocess.Popen(
        [sys.executable, *command],
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Server(json.loads(process.stdout.readline())["base_url"])
    finally:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    """This process's environment, with this very code to import and a key that is none."""
    here = {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "benchmark", "NO_PROXY": "127.0.0.1"}
    return {**os.environ, **here}


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
