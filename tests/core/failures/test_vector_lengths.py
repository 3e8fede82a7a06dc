"""Two different requests must give a length before it is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.failures.vector_lengths import Agreement

VOTES = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([4, 8, 16])), max_size=12)


def test_two_requests_agree() -> None:
    votes: Agreement[str] = Agreement()
    votes.vote("a", 4)
    assert (votes.agreed, votes.lengths) == (None, (4,))
    votes.vote("b", 8)
    assert (votes.agreed, votes.lengths) == (None, (4, 8))
    votes.vote("c", 8)
    assert votes.agreed == 8
    assert repr(votes) == "<Agreement {4: 1, 8: 2}>"


def test_one_request_does_not_agree_with_itself_and_its_last_answer_counts() -> None:
    votes: Agreement[str] = Agreement()
    votes.vote("a", 4)
    votes.vote("a", 4)
    alone = votes.agreed
    votes.vote("b", 8)
    votes.vote("a", 8)
    assert (alone, votes.agreed) == (None, 8)
    assert votes.lengths == (8,)


def test_the_oldest_vote_is_the_one_to_be_doubted() -> None:
    votes: Agreement[str] = Agreement()
    votes.vote("a", 4)
    votes.vote("b", 8)
    assert votes.withdraw_oldest() == "a"
    votes.vote("a", 4)
    assert votes.withdraw_oldest() == "b"
    assert votes.withdraw_oldest() == "a"
    with pytest.raises(KeyError):
        votes.withdraw_oldest()


@given(VOTES)
def test_what_is_agreed_was_said_by_two(cast: list[tuple[int, int]]) -> None:
    votes: Agreement[int] = Agreement()
    for request, length in cast:
        votes.vote(request, length)
    last = dict(cast)
    said = list(last.values())
    assert set(votes.lengths) == set(said)
    if votes.agreed is None:
        assert len(set(said)) == len(said)
    else:
        assert said.count(votes.agreed) >= 2
