"""Running the real command in a directory, and reading what it wrote there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.real_model.llama_server import KEY

_LONGEST_SECONDS = 120


@dataclass(frozen=True)
class Workplace:
    """A directory with an input, where ``batcher`` runs."""

    directory: Path

    def write(self, texts: Sequence[str]) -> None:
        """The input: one row a text, with ids that are no numbers."""
        rows = ({"key": f"r{row}", "text": text} for row, text in enumerate(texts))
        self.directory.joinpath("in.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))

    def start(self, kind: str, *options: str, key: str = KEY) -> subprocess.Popen[str]:
        """``batcher run KIND`` over the input, as a process of its own."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OPENAI_", "BATCHER_"))
        }
        arguments = ["run", kind, "in.jsonl", "-o", "out.jsonl", "--id", "key"]
        return subprocess.Popen(
            [sys.executable, "-m", "batcher", *arguments, "--model", "smollm2", *options],
            cwd=self.directory,
            env={**kept, **({"OPENAI_API_KEY": key} if key else {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, kind: str, *options: str, key: str = KEY) -> tuple[int, str]:
        """The same to its end: the exit code and all that it said."""
        return ended(self.start(kind, *options, key=key))

    def records(self, name: str = "out.jsonl") -> list[dict[str, Any]]:
        """The records of an output or errors file; none where there is no file."""
        path = self.directory / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def letters(self) -> list[dict[str, Any]]:
        """The dead letters."""
        return self.records("out.jsonl.errors.jsonl")

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The manifest."""
        manifest: dict[str, Any] = json.loads(
            self.directory.joinpath("out.jsonl.manifest.json").read_text()
        )
        return manifest


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code and all that it said; killed if it takes too long."""
    with process:
        try:
            said, _ = process.communicate(timeout=_LONGEST_SECONDS)
        finally:
            process.kill()
    return process.returncode, said
