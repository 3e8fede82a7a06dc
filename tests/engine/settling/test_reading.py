"""What an answer cost: as it says, by the tier that served it, and never more than was reserved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.finish_reason import read_finish
from batcher.core.job.spec import JobSpec
from batcher.core.kind import BoundKind, Endpoint, Invalid, Shape, TextFile
from batcher.core.model import Learned, Usage
from batcher.core.money.prices import Price
from batcher.core.row.asked import Asked
from batcher.engine.requests.parts import RequestParts, make_requests
from batcher.engine.settling.reading import UsageReader, make_bill, strike
from batcher.engine.shards.call import Call
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.shards.payload import ShardPlan, encode_plan
from batcher.ports import Lease
from jobs.chat import KIND as CHAT
from jobs.embed import KIND as EMBED
from tests.core.money.test_prices import prices

PRICE = Price(prompt=6, cached_prompt=2, completion=10, written_prompt=8).with_usual_tiers()


class Letters:
    """A token is a letter (:class:`batcher.ports.Tokenizer`)."""

    name = "letters"

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    def chunks(self, text: str, max_tokens: int) -> list[tuple[int, int, int]]:
        raise AssertionError("nothing is cut here")


def bound_kind(endpoint: Endpoint, max_tokens: int | None = 30) -> BoundKind:
    if endpoint is Endpoint.EMBEDDINGS:
        return EMBED.bind({"text": "text"})  # type: ignore[return-value]
    prompt = TextFile("p.txt", "{{ text }}")
    return CHAT.bind({"prompt": prompt, "max_tokens": max_tokens})  # type: ignore[return-value]


def requests(
    *,
    endpoint: Endpoint = Endpoint.CHAT,
    price: Price | None = PRICE,
    tier: Any = None,
    params: Mapping[str, Any] | None = None,
    max_tokens: int = 30,
) -> RequestParts:
    return make_requests(
        bound_kind(endpoint, max_tokens),
        JobSpec(
            kind="a kind",
            model="a model",
            input="in.jsonl",
            base_url="http://127.0.0.1/v1",
            params=params or {},
            service_tier=tier,
        ),
        Learned(),
        price=price,
        charges_prompt_too=False,
        cap=None,
        fixed_tokens=0,
    )


def read_usage(
    answer: Mapping[str, Any], call: Call, made: RequestParts, *, free_output: bool = False
) -> Usage:
    reader = UsageReader(made.prices, made.allowances, Letters(), free_output=free_output)
    return reader.read(answer, call)


def a_call(*tokens: int) -> Call:
    """A call for pieces of so many tokens."""
    plan = ShardPlan(
        first_row=0,
        rows=len(tokens),
        ids=None,
        piece_rows=list(range(len(tokens))),
        tokens=list(tokens),
        starts=[0],
        chunks=None,
    )
    encoded = encode_plan(plan, Asked([("text",)] * len(tokens)))
    lease = Lease(
        shard_id=1, ordinal=0, fence=1, expires_at=0.0, outline=encoded.outline,
        prompts=encoded.prompts, events=(), sent_fence=0, sent_through=0,
    )  # fmt: skip
    (call,) = LeasedShard(lease, Shape.JSON).calls
    return call


def read(usage: object) -> Usage:
    return read_usage({"usage": usage}, a_call(7), requests())


@pytest.mark.parametrize(
    ("usage", "prompt", "completion", "cost"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}, 10, 2, 80),
        ({"prompt_tokens": 10, "total_tokens": 10}, 10, 0, 60),
        ({"prompt_tokens": 10, "total_tokens": 12}, 10, 2, 80),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 0,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
            10,
            0,
            44,
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
            },
            10,
            2,
            18 + 8 + 24 + 20,
        ),
    ],
)
def test_usage(usage: Any, prompt: int, completion: int, cost: int) -> None:
    found = read(usage)
    assert (found.prompt_tokens, found.completion_tokens) == (prompt, completion)
    assert (found.cost_picousd, found.requests, found.unstated) == (cost, 1, 0)


@pytest.mark.parametrize(
    "usage",
    [
        {},
        None,
        "none",
        {"prompt_tokens": -1, "completion_tokens": True},
        {"prompt_tokens": 2**64 - 1, "completion_tokens": 2**63},
        {"prompt_tokens": 1.5, "completion_tokens": []},
    ],
)
def test_an_answer_that_does_not_say_is_counted_here_and_that_is_told(usage: Any) -> None:
    answer = {"choices": [{"message": {"content": "twelve chars"}}]}
    found = read_usage({"usage": usage, **answer}, a_call(7), requests())
    assert (found.prompt_tokens, found.completion_tokens, found.unstated) == (7, 12, 1)
    assert found.cost_picousd == 7 * 6 + 12 * 10


def test_an_embedding_has_no_output_to_count() -> None:
    found = read_usage(
        {"usage": {"prompt_tokens": 9}},
        a_call(4, 5),
        requests(endpoint=Endpoint.EMBEDDINGS),
        free_output=True,
    )
    assert (found.completion_tokens, found.unstated) == (0, 0)


@pytest.mark.parametrize(
    ("asked", "served", "times"),
    [
        (None, "default", 1),
        (None, "priority", 2),
        (None, " Priority ", 2),
        ("priority", "default", 1),
        ("flex", "flex", 0.5),
        ("flex", "default", 1),
        ("auto", "flex", 0.5),
        (None, "scale", 1),
        (None, "on_demand", 1),
        (None, None, 1),
        (None, 7, 1),
        ("flex", None, 1),
        ("priority", None, 2),
    ],
)
def test_the_tier_that_served_is_billed(asked: str | None, served: object, times: float) -> None:
    """Where that is not said it may be the one asked for: the dearer of that and the standard."""
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    found = read_usage({"usage": usage, "service_tier": served}, a_call(7), requests(tier=asked))
    assert found.cost_picousd == 80 * times


@pytest.mark.parametrize(
    ("tier", "params", "times"),
    [
        ("default", {}, 1),
        ("flex", {}, 1),
        ("priority", {}, 2),
        ("auto", {}, 2),
        (None, {}, 2),
        (None, {"service_tier": "default"}, 1),
        (None, {"service_tier": "priority"}, 2),
    ],
)
def test_the_dearest_that_a_request_may_become_is_reserved(
    tier: str | None, params: dict[str, Any], times: int
) -> None:
    """Its prompt written to the cache, all the output that it may have, the dearest tier."""
    made = requests(tier=tier, params=params)
    assert made.worst_case.of_call(a_call(100)) == times * ((100 + 16) * 8 + 30 * 10)
    assert made.worst_case.of_call(a_call(100)) == made.worst_case.of_pieces(a_call(100), [0])


def test_a_repair_carries_the_answer_that_it_mends() -> None:
    call = a_call(100)
    once = requests().worst_case.of_call(call)
    call.repair = Invalid("invalid_output", "not é", "the answer")
    assert requests().worst_case.of_call(call) >= once + 2 * 8 * len("the answernot é".encode())


TIERS = ["auto", "default", "flex", "priority"]


@given(
    prices(), st.sampled_from(TIERS) | st.none(), st.integers(0, 3), st.integers(1, 500_000),
    st.integers(1, 90_000), st.data(),
)  # fmt: skip
def test_no_answer_within_its_bounds_costs_more_than_was_reserved(
    price: Price, asked: str | None, slack: int, planned: int, limit: int, data: st.DataObject
) -> None:
    """Whatever the price, the tier that may serve it, and the kinds of tokens it is billed for."""
    made = requests(price=price, tier=asked, max_tokens=limit)
    call = a_call(planned)
    worst = made.worst_case.of_call(call)
    possible = {None: ["default", "flex", "priority"], "auto": ["default", "flex", "priority"]}
    served = data.draw(st.sampled_from(possible.get(asked, ["default", str(asked)])) | st.none())
    prompt = data.draw(st.integers(0, planned + 16 - slack))
    completion = data.draw(st.integers(0, limit))
    tokens = st.integers(0, 600_000)
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": data.draw(tokens),
            "cache_write_tokens": data.draw(tokens),
        },
        "completion_tokens_details": {
            "reasoning_tokens": data.draw(tokens),
            "rejected_prediction_tokens": data.draw(tokens),
        },
    }
    found = read_usage({"usage": usage, "service_tier": served}, call, made)
    assert 0 <= found.cost_picousd <= worst


@given(st.lists(st.tuples(st.integers(1, 5_000), st.floats(1, 4)), min_size=1, max_size=20))
def test_a_server_that_counts_more_tokens_than_we_do_is_reserved_for(
    answers: list[tuple[int, float]],
) -> None:
    """It may put words of its own before each prompt, and have another tokenizer."""
    made = requests(tier="default")
    for planned, factor in answers:
        stated = 200 + int(planned * factor)
        usage = {"prompt_tokens": stated, "completion_tokens": 30}
        found = read_usage({"usage": usage}, call := a_call(planned), made)
        assert found.cost_picousd <= made.worst_case.of_call(call)


def test_a_packed_request_is_reserved_for_at_any_step_that_it_may_reach() -> None:
    long = Price(prompt=2, cached_prompt=2, completion=0)
    price = Price(prompt=1, cached_prompt=1, completion=0, above=(100, long))
    made = requests(endpoint=Endpoint.EMBEDDINGS, price=price)
    call = a_call(60, 60)
    usage = {"prompt_tokens": 120, "total_tokens": 120}
    found = read_usage({"usage": usage}, call, made, free_output=True)
    assert found.cost_picousd == 240 <= made.worst_case.of_call(call)


def test_a_bill_is_shared_out_by_the_tokens_of_the_pieces() -> None:
    usage = Usage(requests=1, prompt_tokens=101, completion_tokens=7, cost_picousd=1_000_001)
    bill = make_bill({"model": "named-so"}, a_call(10, 30, 60), usage, priced=True)
    assert (bill.pieces, bill.model) == ((0, 1, 2), "named-so")
    assert bill.prompt_tokens == [10, 30, 61]
    assert bill.completion_tokens == [1, 2, 4]
    assert bill.costs == [100_000, 300_000, 600_001]
    unpriced = make_bill({"model": 7}, a_call(10), usage._replace(cost_picousd=0), priced=False)
    assert (unpriced.costs, unpriced.model) == (None, None)


KEY = "sk-proj-abcdefghijklmnop"


@pytest.mark.parametrize(
    "choice",
    [
        {"finish_reason": KEY},
        {"finish_reason": {"type": KEY}},
        {"finish_reason": {"reason": f"because {KEY}"}},
        {"finish_reason": None, "native_finish_reason": KEY},
        {"provider_specific_fields": {"native_finish_reason": KEY}},
    ],
)
def test_no_key_is_told_as_the_reason_for_an_end(choice: dict[str, Any]) -> None:
    struck = strike({"choices": [choice]}, (KEY,))["choices"][0]
    assert read_finish(struck).word == "other"


@pytest.mark.parametrize("reason", ["stop", "Max Tokens", {"type": "length"}, None, 7])
def test_other_reasons_keep_their_meaning(reason: object) -> None:
    answer = {"choices": [{"finish_reason": reason}]}
    struck = strike(answer, (KEY,))
    assert read_finish(struck["choices"][0]) == read_finish(answer["choices"][0])
