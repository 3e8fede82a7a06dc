"""Inputs to measure with: made of a seed, so that every run reads the same bytes."""

from __future__ import annotations

import json
import random
from pathlib import Path

_WORDS = """
    order parcel refund broken screen battery invoice account password login delivery address late
    missing charger cable return warranty price discount coupon payment card declined email phone
    agent reply waiting three days please help thank you still not working since the update app
    crashes when opening settings cannot change name size colour arrived damaged box empty again
""".split()


def write_csv(path: Path, rows: int, *, words: int = 12, seed: int = 1) -> None:
    """A CSV file ``id,text`` with so many words a row."""
    chance = random.Random(seed)
    with path.open("w") as file:
        file.write("id,text\n")
        for row in range(rows):
            file.write(f"t{row},{_text(chance, row, words)}\n")


def write_long_csv(path: Path, rows: int, *, seed: int = 1) -> None:
    """A CSV file of long texts: 660 words in the middle, 6,000 at the most."""
    chance = random.Random(seed)
    with path.open("w") as file:
        file.write("id,text\n")
        for row in range(rows):
            words = min(6_000, round(chance.lognormvariate(6.5, 1.0)))
            file.write(f"t{row},{_text(chance, row, words)}\n")


def write_jsonl(path: Path, rows: int, *, words: int = 12, seed: int = 1) -> None:
    """The same rows as JSON lines."""
    chance = random.Random(seed)
    with path.open("w") as file:
        for row in range(rows):
            record = {"id": f"t{row}", "text": _text(chance, row, words)}
            file.write(json.dumps(record) + "\n")


def _text(chance: random.Random, row: int, words: int) -> str:
    """Words without commas or quotes, and the row's number, so that no two are equal."""
    return f"{' '.join(chance.choices(_WORDS, k=words))} {row}"
