"""Lines that fit a width: what matters least is said more briefly, then left out.

Arithmetic alone: nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

BETWEEN = " · "


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to say: its ``forms``, each shorter than the one before, and how much it matters.

    One of weight ``ALWAYS`` is never left out.
    """

    forms: tuple[str, ...]
    weight: int
    style: str = ""


ALWAYS = 1_000


def fitted(parts: Sequence[Part], width: int) -> list[tuple[str, str]]:
    """The texts to show, each with its style, in the order of the parts.

    Joined by ``BETWEEN`` they take ``width`` columns at most, unless what matters always is wider.
    Before any part is left out, all are said as briefly as they can be.
    """
    shown = list(parts)
    while len(BETWEEN.join(part.forms[0] for part in shown)) > width:
        longer = [part for part in shown if len(part.forms) > 1]
        candidates = longer or [part for part in shown if part.weight < ALWAYS]
        if not candidates:
            break
        least = min(candidates, key=lambda part: part.weight)
        shorter = replace(least, forms=least.forms[1:])
        at = shown.index(least)
        shown[at : at + 1] = [shorter] if shorter.forms else []
    return [(part.forms[0], part.style) for part in shown]


def first_that_fits(forms: Sequence[str], width: int) -> str:
    """The longest of ``forms`` that takes ``width`` columns at most; the last where none does."""
    return next((form for form in forms if len(form) <= width), forms[-1])
