"""What the tests of files do again and again: write bytes, check them, read them back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from batcher.adapters.sources import open_source
from batcher.core.model import BadRow, InputFacts, InputRow

Rows: TypeAlias = list[InputRow | BadRow]


@dataclass
class Inputs:
    """A directory to put input files in."""

    directory: Path

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def read(
        self,
        name: str,
        content: bytes | str | None = None,
        *,
        id_column: str | None = None,
        columns: tuple[str, ...] = (),
        skip_bad: bool = False,
        start: int = 0,
        **options: Any,
    ) -> tuple[InputFacts, Rows]:
        """Check and read; without ``content`` the file is there already."""
        path = self.directory / name
        if content is not None:
            self.write(name, content)
        with open_source(str(path), spool_dir=self.directory / "spool", **options) as source:
            facts = source.check(id_column=id_column, columns=columns, skip_bad=skip_bad)
            rows = [row for batch in source.rows(start) for row in batch]
            assert source.sha256() == facts.sha256
        return facts, rows


def records(rows: Rows) -> list[dict[str, Any]]:
    """The rows' records; none of them may be bad."""
    found = []
    for row in rows:
        assert isinstance(row, InputRow), row
        found.append(dict(row.record))
    return found


def bad(rows: Rows) -> list[tuple[int, Any, int, str, str]]:
    """The bad rows as ``(number, id, line, code, message)``."""
    return [
        (row.number, row.id, row.line, row.code, row.message)
        for row in rows
        if isinstance(row, BadRow)
    ]
