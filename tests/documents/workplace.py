"""Where a page is run: an empty directory with the examples, a provider, and a shell.

A page names things that only its reader has: a port, a resource of Azure's, a Postgres. Each of
them has a stand-in here, and its output is told in the page's words again.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.documents.page import ROOT, Block, Page, Step
from tests.waiting import PATIENCE_SECONDS

_NOT_SHOWN = re.compile(
    r"^(checking the input|looking at the job|planning|sending|waiting|writing|exporting|ended)"
    r"\b.*\n",
    re.M,
)
"""Lines of progress: a terminal clears them away when a command ends."""
_VARIES = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?"), "WHEN"),
    (re.compile(r"\b(\d+ d )?(\d+ h )?(\d+ min )?\d+(\.\d+)? (ms|s|min|h|d)\b"), "DURATION"),
    (re.compile(r"\b[\d,]+(\.\d+)? rows/(s|min)\b"), "RATE"),
    (re.compile(r"\b1(?=[0-9]*[a-z])[0-9a-z]{9}\b"), "JOB"),
    (re.compile(r"\brevision \d{4}\b"), "REVISION"),
    (re.compile(r"-{3,}|\s+"), " "),
)
_PASSWORD = re.compile(r":[^:@/]*@")
_FIGURE = re.compile(r"\d[\d,.]*")
_COUNTED = re.compile(r"\b(request|row|token|shard)s?\b")


def comparable(output: str, *, figures: bool = True) -> str:
    """An output without what differs from one run to the next."""
    for pattern, instead in _VARIES:
        output = pattern.sub(instead, output)
    if not figures:  # one of them, or several
        output = _COUNTED.sub(r"\1s", _FIGURE.sub("N", output))
    return output.strip()


class PageFailed(AssertionError):
    """A block of a page ended with another exit code than 0."""


class Workplace:
    """Runs the blocks of one page in turn, as a shell that stays open would do it."""

    def __init__(self, directory: Path, stand_ins: Mapping[str, str]) -> None:
        self.directory = directory
        self._stand_ins = stand_ins
        self._groups: list[int] = []
        shutil.copytree(ROOT / "examples", directory / "examples")
        home = directory.parent / f"{directory.name}-home"
        home.mkdir()
        self._environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "COLUMNS": "100",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, page: Page) -> dict[int, str]:
        """What each block of the page printed, by where the page shows it."""
        outputs = {}
        for step in page.steps():
            if isinstance(step, Block):
                assert step.title is not None
                (self.directory / step.title).write_text(self._real(step.body), encoding="utf-8")
                continue
            printed = self._told(self._block(page, step))
            if step.shown is not None:
                outputs[step.shown.start] = printed
        return outputs

    def close(self) -> None:
        """End what the page left running."""
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def _block(self, page: Page, step: Step) -> str:
        body = self._real(step.block.body)
        if step.block.language == "python":
            (self.directory / "block.py").write_text(body, encoding="utf-8")
            body = "python block.py\n"
        environment, printed = self.directory.parent / "environment", self.directory.parent / "out"
        script = f"set -e\n{body}\nenv -0 >{environment}\n"
        with printed.open("wb") as out:
            shell = subprocess.Popen(
                ["bash", "-c", script],
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._groups.append(shell.pid)
            code = shell.wait(PATIENCE_SECONDS)
        text = printed.read_text(encoding="utf-8")
        if code:
            raise PageFailed(f"{page.name}:{step.block.line} ended with {code}:\n{text}")
        pairs = (pair.partition("=") for pair in environment.read_text().split("\0") if pair)
        self._environment = {name: value for name, _, value in pairs}
        return text

    def _real(self, text: str) -> str:
        for named, real in self._stand_ins.items():
            text = text.replace(named, real)
        return text

    def _told(self, text: str) -> str:
        for named, real in self._stand_ins.items():
            text = text.replace(real, named).replace(_PASSWORD.sub("@", real), named)
        text = text.replace(f"{self.directory}/", "")
        return _NOT_SHOWN.sub("", text.replace("\r", ""))
