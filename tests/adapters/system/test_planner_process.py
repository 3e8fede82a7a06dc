"""A real process plans what the thread would plan, and is gone when it is not needed any more."""

from __future__ import annotations

import csv
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batcher.adapters.providers.tokenizer import open_tokenizer
from batcher.adapters.sources import open_source
from batcher.adapters.system.planner_process import ChildPlanner, start_planner_process
from batcher.core.job.fingerprint import content
from batcher.core.job.spec import JobSpec
from batcher.core.kind import Shape, TextFile
from batcher.core.limits import request_limits
from batcher.engine.planning.handover import HandoverPlanner
from batcher.engine.planning.planner import Cursor, Planner, RowRules, make_planner
from batcher.engine.planning.shard_in_making import ShardForm
from batcher.ports import GuardStopped, NewShard, ReuseLookup
from batcher.ports.planning import PlanTask
from jobs.chat import KIND
from tests.engine.reuse.caching import KEEP, TABLE, CachedElsewhere

ROWS = 6_000
FILES = {"prompt": TextFile("", "Say: {{ text }}")}
RECIPE = "00" * 32


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is started for a plan on a machine of one processor, too."""
    monkeypatch.setattr("batcher.adapters.system.planner_process._processors", lambda: 2)


def write_csv(path: Path) -> str:
    """A CSV file; a few ids are there twice, one text is blank."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        for row in range(ROWS):
            id_ = row - 5 if row % 1_999 == 1_998 else row
            writer.writerow([f"r{id_}", "" if row == 77 else f"text number {row}"])
    return str(path)


def write_parquet(path: Path) -> str:
    texts = [f"text number {row}" for row in range(ROWS)]
    times = pa.array(range(ROWS), type=pa.timestamp("ns"))
    pq.write_table(pa.table({"id": list(range(ROWS)), "text": texts, "time": times}), path)
    return str(path)


class Plan:
    """One plan, and the ways to make it."""

    def __init__(self, path: str, limit: int | None = None) -> None:
        self.spec = JobSpec(
            kind="chat", input=path, id="id", model="gpt-4o-mini", on_bad_row="skip", options={}
        )
        self.source = open_source(path, spool_dir=Path("spool"))
        bound: Any = KIND.bind(FILES)
        facts = self.source.check(id_column="id", columns=bound.columns, skip_bad=True)
        self.rows = limit or facts.rows
        self.keep_arrow = facts.arrow_schema is not None
        self.bound = bound

    def here(
        self, next_row: int = 0, next_shard: int = 0, reuse: ReuseLookup | None = None
    ) -> Planner:
        rules = RowRules(
            bound=self.bound,
            kind="chat",
            tokenizer=open_tokenizer("gpt-4o-mini"),
            limits=request_limits(self.bound),
            recipe=RECIPE,
        )
        return make_planner(
            self.source,
            rules,
            ShardForm.of(self.spec, self.bound, arrow=self.keep_arrow),
            cursor=Cursor(next_row, next_shard),
            rows=self.rows,
            reuse=reuse,
        )

    @contextmanager
    def elsewhere(self, **changes: Any) -> Iterator[ChildPlanner]:
        checked = self.source.checked()
        assert checked is not None
        given: dict[str, Any] = {
            "spec": self.spec,
            "kind_version": KIND.version,
            "files": FILES,
            "limits": request_limits(self.bound),
            "rows": self.rows,
            "recipe": RECIPE,
            "keep_arrow": self.keep_arrow,
            "checked": checked,
        }
        process = start_planner_process(PlanTask(**{**given, **changes}))
        assert process is not None
        try:
            yield process
        finally:
            process.stop()
            assert not is_running(process)


def is_running(process: ChildPlanner) -> bool:
    try:
        os.kill(process._process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_ready(process: ChildPlanner) -> None:
    while not process.is_ready():
        time.sleep(0.01)


def all_shards(planner: Planner) -> list[NewShard]:
    shards: list[NewShard] = []
    while planned := planner.next_shards(1_024, 10**6):
        shards += planned
    return shards


def taken(process: ChildPlanner) -> list[NewShard]:
    shards: list[NewShard] = []
    while some := process.take():
        shards += some
    assert some is not None
    return shards


@pytest.mark.parametrize("write", [write_csv, write_parquet])
@pytest.mark.parametrize("limit", [None, 2_500])
def test_it_plans_what_the_thread_plans(tmp_path: Path, write: Any, limit: int | None) -> None:
    plan = Plan(write(tmp_path / f"in.{write.__name__[6:]}"), limit)
    whole = plan.here()
    shards = all_shards(whole)
    with plan.elsewhere() as process:
        wait_until_ready(process)
        process.begin(0, 0)
        assert taken(process) == shards
        assert process.input_sha256 == whole.input_sha256
        assert (process.input_sha256 is None) == (limit is not None)


def test_it_begins_where_it_is_told(tmp_path: Path) -> None:
    plan = Plan(write_csv(tmp_path / "in.csv"))
    shards = all_shards(plan.here())
    with plan.elsewhere() as process:
        process.begin(shards[3].first_row, shards[3].ordinal)  # waits until it is ready
        assert taken(process) == shards[3:]


def test_it_asks_a_strategy_as_the_thread_does(tmp_path: Path) -> None:
    """A cache in a database, which the process reads by itself."""
    database = tmp_path / "cache.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(TABLE)
        contents = [
            content(bytes.fromhex(RECIPE), (f"Say: text number {row}",))
            for row in range(0, ROWS, 3)
            if row != 1_998  # its id was there before
        ]
        rows = [(one, 0, 1, None, None, 4, b"{}") for one in contents]
        connection.executemany(KEEP, rows)
    elsewhere = CachedElsewhere(str(database), Shape.JSON)
    plan = Plan(write_csv(tmp_path / "in.csv"))
    with elsewhere.opened() as lookup:
        shards = all_shards(plan.here(reuse=lookup))
    with plan.elsewhere(lookup=elsewhere) as process:
        process.begin(0, 0)
        assert taken(process) == shards
    carried = [shard.carried for shard in shards if shard.carried is not None]
    assert [place for one in carried for place in one.places] == contents
    assert sum(one.rows for one in carried) == 1_999


def test_where_it_is_killed_the_thread_goes_on(tmp_path: Path) -> None:
    plan = Plan(write_csv(tmp_path / "in.csv"))
    shards = all_shards(plan.here())
    with plan.elsewhere() as process:
        wait_until_ready(process)
        planner = HandoverPlanner(plan.here, lambda: process, next_row=0, next_shard=0)
        found = [*planner.next_shards(1, 1)]
        process._process.kill()
        while planned := planner.next_shards(1_024, 10**6):
            found += planned
    assert found == shards


@pytest.mark.parametrize(
    "changes", [{"kind_version": 99}, {"checked": b"nothing"}, {"spec": None}], ids=str
)
def test_a_task_that_it_cannot_do_is_told_as_failed(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    plan = Plan(write_csv(tmp_path / "in.csv"))
    with plan.elsewhere(**changes) as process:
        wait_until_ready(process)
        process.begin(0, 0)
        assert process.take() is None


def test_who_waits_for_shards_is_woken_by_a_stop(tmp_path: Path) -> None:
    plan = Plan(write_csv(tmp_path / "in.csv"))
    with plan.elsewhere() as process:
        stopping = threading.Timer(0.05, process.stop)
        stopping.start()
        with pytest.raises(GuardStopped):
            process.take()  # nobody told it to begin
        stopping.join()


def test_it_ends_when_nobody_reads_any_more(tmp_path: Path) -> None:
    """As it does when the process that began it is killed."""
    plan = Plan(write_csv(tmp_path / "in.csv"))
    with plan.elsewhere() as process:
        process.begin(0, 0)
        process._stdout.close()
        process._stdin.close()
        assert process._process.wait(60) != 0


def test_it_ends_when_it_is_never_told_to_begin(tmp_path: Path) -> None:
    plan = Plan(write_csv(tmp_path / "in.csv"))
    with plan.elsewhere() as process:
        wait_until_ready(process)
        process._stdin.close()
        assert process._process.wait(60) == 0


def test_what_no_other_process_can_open_is_not_shared(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv")
    with Path(path).open("rb") as stream:
        piped = open_source("-", spool_dir=tmp_path / "spool", format="csv", stdin=stream)
    with piped:
        piped.check(id_column="id", columns=("text",), skip_bad=True)
        assert piped.checked() is None


def test_one_processor_is_left_to_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batcher.adapters.system.planner_process._processors", lambda: 1)
    plan = Plan(write_csv(tmp_path / "in.csv"))
    with pytest.raises(AssertionError), plan.elsewhere():
        pass
