"""When answers without a result are so regular that the job had better stop."""

from __future__ import annotations

from itertools import count

import pytest

from batcher.core.failures.unusable import UnusableAnswers


def stops_after(answers: UnusableAnswers, *kinds: str) -> int:
    """How many answers of these kinds, again and again, come before it says stop; 0: never."""
    for number in range(1, 101):
        kind = kinds[(number - 1) % len(kinds)]
        if kind == "result":
            answers.result()
        elif kind == "invalid":
            if answers.invalid():
                return number
        elif answers.broken(number % 7, whole=kind == "whole"):
            return number
    return 0


@pytest.mark.parametrize(
    ("kinds", "had_result", "stops"),
    [
        (["invalid"], False, 20),
        (["invalid"], True, 0),
        (["broken"], False, 10),
        (["broken"], True, 0),
        (["invalid", "broken"], False, 20),
        (["whole"], False, 6),
        (["whole"], True, 6),
        (["whole", "whole", "whole", "result"], True, 0),
        (["result", "invalid"], False, 0),
        (["result", *["whole"] * 5], False, 0),
    ],
)
def test_when_it_stops(kinds: list[str], had_result: bool, stops: int) -> None:
    assert stops_after(UnusableAnswers(had_result=had_result), *kinds) == stops


def test_a_few_requests_that_are_broken_again_and_again_are_not_all_requests() -> None:
    answers = UnusableAnswers(had_result=False)
    numbers = count(1)
    while not answers.broken(next(numbers) % 4, whole=False):
        pass
    assert next(numbers) == 21


def test_nineteen_and_then_a_result() -> None:
    answers = UnusableAnswers(had_result=False)
    assert not any(answers.invalid() for _ in range(19))
    assert repr(answers) == "<UnusableAnswers 0 whole in a row, 19 first>"
    answers.result()
    assert not any(answers.invalid() for _ in range(100))
    assert repr(answers) == "<UnusableAnswers 0 whole in a row>"
