"""What may be replaced where an output goes: by what stands there, and by whose manifest it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import OutputTaken, UsageError
from batcher.core.model import Job
from batcher.engine.delivery.overwriting import Output, Overwriting
from batcher.ports import Seen
from tests.store.making import make_description, make_job

OUTPUT = Path("out.jsonl")
MANIFEST = Path("out.jsonl.manifest.json")
ERRORS = Path("out.jsonl.errors.jsonl")


@dataclass
class Jobs:
    """The jobs that there are (:class:`batcher.ports.JobLookup`)."""

    known: dict[str, Job] = field(default_factory=dict)

    async def job(self, job_id: str) -> Job:
        if job_id not in self.known:
            raise UsageError("no such job")
        return self.known[job_id]


@dataclass
class Disk:
    """What stands at paths (:class:`batcher.engine.delivery.overwriting.Places`)."""

    standing: dict[Path, Seen] = field(default_factory=dict)
    drafts: list[Mapping[str, Any]] = field(default_factory=list)
    state: tuple[Path, ...] = ()

    def look(self, path: Path) -> Seen:
        return self.standing.get(path, "nothing")

    def is_same(self, one: Path, other: Path) -> bool:
        return one == other

    def is_part_of(self, one: Path, other: Path) -> bool:
        return one.name.startswith(f"{other.name}.part-")

    def read_drafts(self, path: Path) -> list[Mapping[str, Any]]:
        assert path == MANIFEST
        return self.drafts


def output(**settings: Any) -> Output:
    return Output(path=str(OUTPUT), **settings)


async def may_replace(job: Job, disk: Disk, *others: Job, **settings: Any) -> bool:
    """Whether the job may be written there; what was seen is handed on as it was."""
    overwriting = Overwriting(Jobs({other.id: other for other in others}), disk)
    try:
        seen = await overwriting.check(output(**settings), job)
    except OutputTaken:
        return False
    for path in (OUTPUT, ERRORS, MANIFEST):
        assert seen[path] == ("anything" if settings else disk.look(path))
    return True


def other_job(**changes: Any) -> Job:
    """A job of another input, by another command unless told otherwise."""
    return replace(make_job("other", fingerprint="another"), **changes)


ANOTHER_COMMAND = make_description(model="another model", options={"text": "title"})


@pytest.mark.parametrize(
    ("drafts", "other", "mine"),
    [
        ([], None, False),
        ([{"job": "j1"}], None, True),
        ([{"job": "purged"}], None, False),
        ([{"job": ""}], None, False),
        ([{"job": 7}], None, False),
        ([{"something": "else"}], None, False),
        ([{"job": "other"}], other_job(), True),
        ([{"job": "other"}], other_job(description=ANOTHER_COMMAND), False),
        ([{"job": "other"}], other_job(description=ANOTHER_COMMAND, fingerprint="f"), True),
        ([{"job": "purged"}, {"job": "j1"}], None, True),
    ],
)
async def test_what_stands_there_is_replaced_where_a_manifest_says_that_it_is_this_jobs(
    drafts: list[Mapping[str, Any]], other: Job | None, mine: bool
) -> None:
    """Of the job itself, of an earlier run of the same command, or of the same fingerprint."""
    disk = Disk({OUTPUT: (1, 2), MANIFEST: (3, 4)}, drafts)
    assert await may_replace(make_job(), disk, *([other] if other else [])) == mine
    assert await may_replace(make_job(), disk, overwrite=True)


async def test_a_run_of_the_same_name_is_replaced_and_one_of_another_is_not() -> None:
    disk = Disk({OUTPUT: (1, 2)}, [{"job": "other", "name": "nightly"}])
    nightly, weekly = (replace(make_job(), name=name) for name in ("nightly", "weekly"))
    other = other_job(name="nightly")
    assert await may_replace(nightly, disk, other)
    assert await may_replace(nightly, disk), "even where that job was purged"
    assert not await may_replace(weekly, disk, other)


async def test_where_nothing_stands_everything_may_be_written() -> None:
    assert await may_replace(make_job(), Disk())


async def test_an_errors_file_alone_is_missed_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    disk = Disk({ERRORS: (1, 2)})
    ERRORS.write_text('{"id":"a","row":0,"code":"c","message":"m","attempts":1}\n')
    assert await may_replace(make_job(), disk)
    ERRORS.write_text('{"something": "of somebody else"}\n')
    assert not await may_replace(make_job(), disk)


def test_before_the_job_is_known_only_what_has_no_manifest_is_refused() -> None:
    standing: dict[Path, Seen] = {OUTPUT: (1, 2)}
    with pytest.raises(OutputTaken, match="give --overwrite to replace it"):
        Overwriting(Jobs(), Disk(standing)).check_claimed(output())
    Overwriting(Jobs(), Disk(standing)).check_claimed(output(overwrite=True))
    Overwriting(Jobs(), Disk(standing, [{"job": "any"}])).check_claimed(output())


@pytest.mark.parametrize("read", [OUTPUT, ERRORS, MANIFEST])
def test_what_the_job_reads_is_never_written_over(read: Path) -> None:
    with pytest.raises(UsageError, match="is what the job reads"):
        Overwriting(Jobs(), Disk()).check_apart(output(overwrite=True), ["-", str(read)])


def test_nor_is_what_the_jobs_are_kept_in(tmp_path: Path) -> None:
    overwriting = Overwriting(Jobs(), Disk(state=(tmp_path, Path("b.db"))))
    overwriting.check_apart(output(), ["in.csv", "https://data.example/out.jsonl"])
    with pytest.raises(UsageError, match="is within"):
        overwriting.check_apart(Output(path=str(tmp_path / "out.jsonl")), [])
    with pytest.raises(UsageError, match="is the database"):
        overwriting.check_apart(Output(path="b.db"), [])
