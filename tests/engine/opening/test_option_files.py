"""Files that a kind's options name are read once, for whoever goes on with the job."""

from __future__ import annotations

from pathlib import Path

import pytest

from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.core.errors import UsageError
from batcher.core.job.spec import JobSpec
from batcher.core.kind import TextFile
from batcher.engine.opening.option_texts import read_files


def _spec(prompt: str) -> JobSpec:
    return JobSpec(kind="chat", input="rows.csv", model="m", options={"prompt": prompt})


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8-sig")


def test_a_file_is_read_by_the_option_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "prompt.j2"
    path.write_text("\ufeff{{ q }}", encoding="utf-8")
    found = read_files(_spec(str(path)), InstalledKinds(), _read)
    assert found == {"prompt": TextFile(str(path), "{{ q }}")}


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xfa"])
def test_one_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "prompt.j2"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"--prompt .*prompt\.j2 cannot be read"):
        read_files(_spec(str(path)), InstalledKinds(), _read)
