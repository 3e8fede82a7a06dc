"""Idempotency keys: the same in every attempt of a request, another wherever an answer must be new.

Against the simulator as it keeps answers, and against one whose keys are only looked at.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.adapters.providers.http import HttpProvider
from batcher.core.job.idempotency import KeyMaker, is_about_keys, is_replay
from batcher.core.model import Doubt, Usage
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.ports import Reply
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import open_work

Sent = list[tuple[bytes, str]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Every request that goes out, with its key."""
    seen: Sent = []
    post = HttpProvider.post

    async def noting(
        self: HttpProvider, path: str, body: bytes, request_id: str, **more: Any
    ) -> Reply:
        seen.append((body, more["key"]))
        return await post(self, path, body, request_id, **more)

    monkeypatch.setattr(HttpProvider, "post", noting)
    return seen


def keys_of(sent: Sent) -> dict[bytes, list[str]]:
    """The keys of each body, in the order in which they were sent."""
    keys: dict[bytes, list[str]] = defaultdict(list)
    for body, key in sent:
        keys[body].append(key)
    return keys


@in_virtual_time
async def test_every_attempt_of_a_request_has_the_same_key(tmp_path: Path, sent: Sent) -> None:
    faults = ["500*2", "503*1", "429*2", "disconnect*2", "reset*1", "hang*1", "hang*2", "408*1"]
    rows = ["one", *(f"[[fault={fault}]] {number}" for number, fault in enumerate(faults)), "two"]
    async with open_work(tmp_path) as work:
        report = await work.runner.run(work.chat(rows, timeout=5))
    assert report.status == "complete"
    keys = keys_of(sent)
    assert len(keys) == len(rows)
    assert all(len(set(each)) == 1 for each in keys.values())
    assert len({each[0] for each in keys.values()}) == len(rows)
    assert sum(map(len, keys.values())) > 2 * len(rows)
    assert all(str(UUID(each[0])) == each[0] for each in keys.values())


@in_virtual_time
async def test_what_is_halved_repaired_or_begun_anew_has_keys_of_its_own(
    tmp_path: Path, sent: Sent
) -> None:
    async with open_work(tmp_path) as work:
        rows = ["a", "b", "[[fault=400]] c", "d"]
        report = await work.runner.run(work.embed(rows))
        assert report.rows_failed == 1
        halves = keys_of(sent)
        assert len(halves) > 3
        await work.runner.run(work.classify(["[[fault=invalid_json*2]] spam"]))
        before = len(sent)
        await work.runner.run(work.embed(rows), fresh=True)
    assert len({key for _, key in sent}) == len(sent)
    assert {body for body, _ in sent[before:]} == set(halves)


@in_virtual_time
async def test_a_row_that_is_retried_by_hand_is_asked_anew(tmp_path: Path, sent: Sent) -> None:
    """And a second retry does not hit upon what the first one got."""
    async with open_work(tmp_path, idempotency=True) as work:
        spec = work.chat(["fine", "[[fault=short*14]] bad"])
        report = await work.runner.run(spec)
        assert report.rows_failed == 1
        for failed in (1, 0):
            await work.runner.retry(report.job)
            assert (await work.runner.run(spec)).rows_failed == failed
        stats = work.stats
    assert stats.requests_replayed == 0
    bad = next(each for body, each in keys_of(sent).items() if b"bad" in body)
    assert len(set(bad)) == len(bad) == 15


@in_virtual_time
@pytest.mark.parametrize("header", ["Idempotency-Key", "off"])
async def test_an_answer_that_was_lost_is_billed_once(
    tmp_path: Path, sent: Sent, header: str
) -> None:
    rows = ["one", "[[fault=hang*1]] two", "[[fault=disconnect*1]] three", "[[fault=reset*1]] four"]
    async with open_work(tmp_path, idempotency=True) as work:
        report = await work.runner.run(work.chat(rows, timeout=5, idempotency_header=header))
        stats = work.stats
    assert report.status == "complete"
    kept = report.manifest()["served_from_idempotency"]
    if header == "off":
        assert {key for _, key in sent} == {""}
        assert kept == {"requests": 0, "inputs": 0, "tokens": 0}
        assert stats.inputs_served_twice == report.doubt_requests == 3
        return
    assert stats.inputs_served_twice == 0
    assert stats.requests_replayed == 3
    assert (kept["requests"], kept["inputs"]) == (3, 3)
    assert (report.doubt_requests, report.doubt_inputs, report.doubt_tokens) == (0, 0, 0)
    assert report.doubt_cost_usd == 0
    assert report.prompt_tokens == stats.prompt_tokens
    assert report.completion_tokens == stats.completion_tokens
    assert 0 < kept["tokens"] < report.prompt_tokens + report.completion_tokens


@in_virtual_time
async def test_a_bad_answer_that_is_kept_does_not_come_for_ever(tmp_path: Path) -> None:
    rows = ["one", "[[fault=garbage*2]] two", "[[fault=short*1]] three"]
    async with open_work(tmp_path, idempotency=True) as work:
        report = await work.runner.run(work.chat(rows))
        assert report.rows_done == 3
        assert work.stats.requests_replayed == 0


class Call:
    """As much of a call as its key needs."""

    def __init__(self) -> None:
        self.shard = self
        self.ordinal = 3
        self.pieces = (0, 1)
        self.reopened = self.anew = self.repairs = self.conflicts = 0
        self.failure_id = ""
        self.in_doubt = Doubt()
        self.recorded = Doubt()

    def keep_in_doubt(self, doubt: Doubt) -> None:
        self.in_doubt = doubt

    def record_doubt(self, doubt: Doubt) -> None:
        self.recorded = self.recorded + doubt


MAKER = KeyMaker(secret="f" * 64, job="job", parameters=[("model", "m")])


def judged(*replies: Reply) -> list[tuple[bool, bool]]:
    """For each failing answer in turn: whether the key is refused, and whether it is renewed."""
    call: Any = Call()
    keys = IdempotencyKeys(MAKER)
    told = []
    for reply in replies:
        before = call.anew
        told.append((keys.failed(call, reply), call.anew > before))
    return told


def test_a_kept_failure_gets_the_call_another_key() -> None:
    replayed = Reply(500, {"idempotent-replayed": "true"}, b"{}")
    known = Reply(500, {"x-request-id": "req_1"}, b"{}")
    assert judged(Reply(500, {}, b"{}"), Reply(500, {}, b"{}")) == [(False, False)] * 2
    assert judged(replayed) == [(False, True)]
    assert judged(known, known) == [(False, False), (False, True)]


def test_a_key_that_is_refused_is_given_up() -> None:
    """At once where it was used for something else; late where the first is in progress."""
    reused = Reply(422, {}, b'{"error": {"code": "idempotency_key_reused"}}')
    stripe = Reply(400, {}, b'{"error": {"type": "idempotency_error"}}')
    busy = Reply(409, {}, b'{"code": "IDEMPOTENCY_REQUEST_IN_PROGRESS"}')
    assert judged(reused) == judged(stripe) == [(True, True)]
    assert judged(busy, busy, busy) == [(True, False), (True, False), (True, True)]
    assert judged(Reply(422, {}, b"{}"), Reply(409, {}, b"{}")) == [(False, False)] * 2
    assert not is_about_keys(500, reused.body)


def test_a_kept_answer_takes_all_doubts_of_its_call_away() -> None:
    call: Any = Call()
    keys = IdempotencyKeys(MAKER)
    doubt = Doubt(requests=1, pieces=2, tokens=30, cost_picousd=40)
    for _ in range(2):
        call.record_doubt(doubt)
        keys.doubt(call, doubt)
    usage = Usage(requests=1, prompt_tokens=10, completion_tokens=5)
    keys.answered(call, Reply(200, {"x-idempotency-replayed": "True"}, b""), usage)
    assert call.recorded == Doubt(kept_requests=1, kept_pieces=2, kept_tokens=15)
    assert call.in_doubt == Doubt()
    call.record_doubt(doubt)
    keys.doubt(call, doubt)
    keys.answered(call, Reply(200, {"idempotent-replayed": "false"}, b""), usage)
    assert call.recorded == Doubt(
        **dataclasses.asdict(doubt) | {"kept_requests": 1, "kept_pieces": 2, "kept_tokens": 15}
    )


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, False),
        ({"idempotent-replayed": "true"}, True),
        ({"idempotent-replayed": "false"}, False),
        ({"idempotency-replayed": "TRUE"}, True),
        ({"x-idempotent-replay": "1"}, True),
        ({"x-idempotency-replayed": " yes "}, True),
        ({"x-idempotency-cache": "HIT"}, True),
        ({"x-idempotency-status": "new"}, False),
        ({"x-idempotency-status": "replayed"}, True),
        ({"x-cache": "HIT"}, False),
    ],
)
def test_servers_say_in_many_ways_that_they_repeat_themselves(
    headers: dict[str, str], said: bool
) -> None:
    assert is_replay(headers) is said


asked = st.fixed_dictionaries(
    {
        "shard": st.integers(0, 3),
        "pieces": st.sets(st.integers(0, 6), min_size=1).map(lambda some: tuple(sorted(some))),
        "reopened": st.integers(0, 2),
        "anew": st.integers(0, 2),
        "repairs": st.integers(0, 2),
        "variant": st.sampled_from(["", "renamed"]),
    }
)


@given(one=asked, other=asked, job=st.sampled_from(["job", "other"]))
def test_keys_are_the_same_where_the_same_is_asked_and_nowhere_else(
    one: dict[str, Any], other: dict[str, Any], job: str
) -> None:
    again = KeyMaker(secret="f" * 64, job=job, parameters=[("model", "m")])
    same = one == other and job == "job"
    assert (MAKER.make(**one) == again.make(**other)) is same
    assert MAKER.make(**one) == MAKER.make(**one)
    hidden = KeyMaker(secret="0" * 64, job="job", parameters=[("model", "m")])
    assert hidden.make(**one) != MAKER.make(**one)
