"""``since_last``: what is new or changed is sent, the rest is carried over, and it is all there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import OutputTaken, UsageError
from tests.engine.reuse.nights import FIRST, Nights, compared, edited, job_of, write
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import open_work, words


@pytest.mark.parametrize("database", ["memory://", "state/b.db"])
@pytest.mark.parametrize("kind", ["embed", "classify", "chat"])
@in_virtual_time
async def test_only_what_is_new_or_changed_is_sent(here: Path, kind: str, database: str) -> None:
    async with open_work(here, database=database) as work:
        nights = Nights(work, kind)
        first = await nights.run(FIRST)
        assert compared(first) == (40, 0, 0, 0, 0)
        assert nights.told == [
            "no complete run is kept under the name nightly: all 40 rows will be sent"
        ]
        served, cost = work.stats.inputs_served, first.report.cost_usd

        second = await nights.run(edited(FIRST))
        assert compared(second) == (2, 2, 0, 37, 1)
        assert second.report.incremental is not None
        assert second.report.incremental.since == first.report.job
        assert work.stats.inputs_served - served == 4
        assert cost is not None
        assert second.report.cost_usd is not None
        assert 0 < second.report.cost_usd < cost / 5
        assert second.report.rows_done == 41
        assert nights.told == [
            f"only what is new or changed since job {first.report.job} will be sent"
        ]
        await nights.in_full(edited(FIRST))
        assert nights.same_bytes()


@in_virtual_time
async def test_rows_in_another_order_are_all_carried_over_and_nothing_is_sent(here: Path) -> None:
    async with open_work(here) as work:
        nights = Nights(work)
        await nights.run(FIRST)
        sent = work.stats.requests
        turned = dict(reversed(list(FIRST.items())))
        second = await nights.run(turned)

        assert compared(second) == (0, 0, 0, 40, 0)
        assert work.stats.requests == sent
        assert second.report.started_at is not None
        assert second.report.requests == second.report.cost_usd == 0
        await nights.in_full(turned)
        assert nights.same_bytes()


@in_virtual_time
async def test_the_same_input_is_the_same_job_and_complete_already(here: Path) -> None:
    async with open_work(here) as work:
        nights = Nights(work)
        first = await nights.run(FIRST)
        again = await nights.run(FIRST)
        assert again.report.sent_nothing
        assert again.report.job == first.report.job
        assert nights.told == []


@in_virtual_time
async def test_the_third_night_carries_over_what_the_second_carried_over(here: Path) -> None:
    async with open_work(here) as work:
        nights = Nights(work)
        await nights.run(FIRST)
        await nights.run({**FIRST, "n": "new"})
        third = await nights.run({**FIRST, "n": "new", "m": "newer"})
        assert compared(third) == (1, 0, 0, 41, 0)
        await nights.in_full({**FIRST, "n": "new", "m": "newer"})
        assert nights.same_bytes()


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"model": "text-embedding-3-large"}, "the model"),
        ({"params": {"user": "u"}}, "the parameters"),
        ({"overlong": "truncate", "dimensions": 5}, "the overlong, the dimensions"),
    ],
)
@in_virtual_time
async def test_another_model_or_parameter_sends_everything_and_says_so(
    here: Path, settings: dict[str, Any], what: str
) -> None:
    async with open_work(here) as work:
        nights = Nights(work)
        first = (await nights.run(FIRST)).report.job
        second = await nights.run({**FIRST, "n": "new"}, **settings)
        assert compared(second) == (1, 40, 0, 0, 0)
        said = f"everything changed since job {first}: {what}; 41 rows will be sent"
        assert nights.told == [said]
        assert second.report.notes == (
            f"nothing was carried over from job {first}: {what} changed",
        )
        await nights.in_full({**FIRST, "n": "new"}, **settings)
        assert nights.same_bytes()


@in_virtual_time
async def test_another_prompt_sends_everything_and_says_so(here: Path) -> None:
    async with open_work(here) as work:
        source = write(work, FIRST)
        first = (await work.run(job_of(work, "chat", source))).report.job
        spec = job_of(work, "chat", source)
        Path(spec.options["prompt"]).write_text("In one word: {{ text }}", encoding="utf-8")
        told: list[str] = []
        report = await work.runner.run(spec, on_told=told.append)
        assert told == [f"everything changed since job {first}: the prompt; 40 rows will be sent"]
        assert report.incremental is not None
        assert report.incremental.changed == 40
        assert report.requests == 40


@in_virtual_time
async def test_a_prompt_file_that_only_moved_changes_nothing(here: Path) -> None:
    async with open_work(here) as work:
        first = job_of(work, "chat", write(work, FIRST))
        await work.run(first)
        moved = work.path("elsewhere.txt")
        moved.write_bytes(Path(first.options["prompt"]).read_bytes())
        source = write(work, {**FIRST, "n": "new"})
        spec = replace(job_of(work, "chat", source), options={"prompt": str(moved)})
        assert compared(await work.run(spec)) == (1, 0, 0, 40, 0)


@in_virtual_time
async def test_what_failed_is_sent_again(here: Path) -> None:
    rows = {**FIRST, "empty": " ", "bad": "[[fault=400]] refused", "b2": "[[fault=400]] too"}
    async with open_work(here) as work:
        nights = Nights(work)
        first = await nights.run(rows)
        assert sorted(first.failed) == [40, 41, 42]
        served = work.stats.inputs_served
        second = await nights.run({**rows, "b2": "mended", "n": "new"})
        assert compared(second) == (1, 1, 2, 40, 0)
        assert work.stats.inputs_served - served == 2
        assert sorted(second.failed) == [40, 41]
        await nights.in_full({**rows, "b2": "mended", "n": "new"})
        assert [record for record in second.records if record["id"] == "b2"]
        assert (
            nights.work.path("out.jsonl").read_bytes() == work.path("full.out.jsonl").read_bytes()
        )


@in_virtual_time
async def test_a_run_that_is_not_complete_is_not_compared_with(here: Path) -> None:
    async with open_work(here) as work:
        nights = Nights(work, price="1000,0")
        first = await nights.run(FIRST)
        assert first.report.cost_usd is not None
        rows = {**FIRST, **{f"n{number}": text for number, text in enumerate(words(30))}}
        stopped = await nights.run(rows, max_cost=first.report.cost_usd / 3)
        assert stopped.report.status == "over_budget"
        third = await nights.run({**rows, "m": "newer"})
        assert third.report.incremental is not None
        assert third.report.incremental.since == first.report.job
        assert compared(third) == (31, 0, 0, 40, 0)


@in_virtual_time
async def test_a_run_that_was_purged_is_not_compared_with(here: Path) -> None:
    async with open_work(here) as work:
        nights = Nights(work)
        await nights.run(FIRST)
        await work.runner.purge(0)
        second = await nights.run({**FIRST, "n": "new"})
        assert compared(second) == (41, 0, 0, 0, 0)
        assert nights.told == [
            "no complete run is kept under the name nightly: all 41 rows will be sent"
        ]


@in_virtual_time
async def test_names_are_apart(here: Path) -> None:
    async with open_work(here) as work:
        await Nights(work).run(FIRST)
        nights = Nights(work, name="weekly")
        with pytest.raises(OutputTaken):
            await nights.run({**FIRST, "n": "new"})
        for path in here.glob("out.*"):
            path.unlink()
        other = await nights.run({**FIRST, "n": "new"})
        assert compared(other) == (41, 0, 0, 0, 0)
        with pytest.raises(UsageError, match="--name NAME"):
            await Nights(work, name=None).run(FIRST)


@pytest.mark.parametrize("overlong", ["mean", "split", "truncate"])
@in_virtual_time
async def test_rows_of_several_chunks_are_carried_over_whole(here: Path, overlong: str) -> None:
    long = " ".join(f"word{number}" for number in range(40))
    rows = {**FIRST, "long": long, "longer": f"{long} {long}", "b": "a"}
    async with open_work(here) as work:
        nights = Nights(work, overlong=overlong, max_input_tokens=12)
        await nights.run(rows)
        served = work.stats.inputs_served
        changed = {"n": f"x {long}", **dict(reversed(list(rows.items()))), "r3": "short"}
        second = await nights.run(changed)
        assert compared(second) == (1, 1, 0, len(rows) - 1, 0)
        assert work.stats.inputs_served - served < 20
        await nights.in_full(changed)
        assert nights.same_bytes()
        third = await nights.run({**changed, "m": "y"}, max_input_tokens=10)
        assert compared(third)[3] == 0  # cut otherwise: nothing is as it was


@in_virtual_time
async def test_without_an_id_column_a_row_put_in_changes_all_after_it(here: Path) -> None:
    async with open_work(here) as work:
        nights = Nights(work, id=None)
        await nights.run(FIRST)
        entries = list(FIRST.items())
        second = await nights.run(dict([*entries[:30], ("n", "new"), *entries[30:]]))
        assert compared(second) == (1, 10, 0, 30, 0)
        await nights.in_full(dict([*entries[:30], ("n", "new"), *entries[30:]]))
        assert nights.same_bytes()


@pytest.mark.parametrize("output", ["csv", "parquet", "npy"])
@in_virtual_time
async def test_every_format_holds_what_was_carried_over(here: Path, output: str) -> None:
    async with open_work(here) as work:
        await Nights(work).run(FIRST)
        spec = job_of(work, "embed", write(work, edited(FIRST)))
        await work.run(spec, output=f"out.{output}")
        full = replace(spec, name=None, since_last=False)
        await work.run(full, output=f"full.{output}", fresh=True)
        assert work.path(f"out.{output}").read_bytes() == work.path(f"full.{output}").read_bytes()


@in_virtual_time
async def test_a_retry_and_the_results_leave_what_was_carried_over(here: Path) -> None:
    rows = {**FIRST, "bad": "[[fault=400]] refused"}
    async with open_work(here) as work:
        nights = Nights(work)
        await nights.run(FIRST)
        second = await nights.run(rows)
        served = work.stats.requests_served
        report, reopened = await work.runner.retry(second.report.job)
        assert (report.rows_done, reopened) == (40, 1)
        again = await nights.run(rows)
        assert again.records == second.records
        assert work.stats.requests_served == served
        results = [result.id async for result in work.runner.results(second.report.job)]
        assert results == list(FIRST)
