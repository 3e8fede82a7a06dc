"""What every destination promises (`batcher.ports.Destination`), built in or installed."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from batcher.adapters.destinations import open_sink
from batcher.adapters.destinations.testing import SCHEMAS, check_destination
from batcher.adapters.system.connectors import DESTINATIONS, Connectors
from batcher.core.errors import UsageError
from batcher.ports import Destination, OutputBatch, OutputSink, SinkRequest

INSTALLED: Connectors[Destination] = Connectors(DESTINATIONS, Destination)


def lines(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


def cells(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return [record["id"] for record in csv.DictReader(file)]


READERS: dict[str, Callable[[Path], list[str]]] = {
    ".jsonl": lines,
    ".ndjson": lines,
    ".csv": cells,
    ".parquet": lambda path: [str(id_) for id_ in pq.read_table(path)["id"].to_pylist()],
    ".npy": lambda path: [f"r{row}" for row in range(len(np.load(path)))],
    ".jsonl.gz": lambda path: [
        json.loads(line)["id"] for line in gzip.decompress(path.read_bytes()).splitlines()
    ],
}


@pytest.mark.parametrize("suffix", READERS)
def test_a_file_keeps_the_contract(suffix: str, tmp_path: Path) -> None:
    numbers = count()

    def address() -> str:
        return str(tmp_path / f"out-{next(numbers)}{suffix}")

    def read(place: str) -> list[str]:
        return READERS[suffix](Path(place)) if Path(place).exists() else []

    check_destination(INSTALLED.find(address()), address, read)
    assert not list(tmp_path.glob("*.part-*"))


def test_no_destination_that_is_built_in_is_left_out_here() -> None:
    built_in = {
        name
        for name in INSTALLED.names()
        if type(INSTALLED.get(name)).__module__.startswith("batcher.")
    }
    assert built_in == set(READERS) - {".jsonl.gz"}


class Careless:
    """A destination that writes to where it is to go, as it comes."""

    def check_form(self, wanted: SinkRequest) -> None:
        """Anything will do."""

    def check_place(self, wanted: SinkRequest) -> None:
        """Anywhere will do."""

    def open(self, wanted: SinkRequest) -> OutputSink:
        return CarelessSink(Path(wanted.address))


class CarelessSink:
    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, batch: OutputBatch) -> None:
        with self._path.open("a") as file:
            file.writelines(f'{{"id": "{id_}"}}\n' for id_ in batch.ids)

    def commit(self) -> None:
        """It is there."""

    def abort(self) -> None:
        """It stays there."""


def test_a_destination_that_is_neither_complete_nor_absent_is_found_out(tmp_path: Path) -> None:
    addresses: Iterator[str] = (str(tmp_path / f"{number}.x") for number in count())

    def read(place: str) -> list[str]:
        return lines(Path(place)) if Path(place).exists() else []

    with pytest.raises(AssertionError, match="what was committed is not what was written"):
        check_destination(Careless(), lambda: next(addresses), read)  # a repeat doubles it


def test_a_scheme_that_nobody_knows_is_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"no destination for s3:// is installed here.*\.csv"):
        INSTALLED.find("s3://bucket/out.csv")


def test_a_format_that_is_named_overrules_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    found = INSTALLED.find(str(path), "csv")
    schema = SCHEMAS["labels"]
    found.check_form(SinkRequest(address=str(path), schema=schema, format="csv"))
    assert found is INSTALLED.find("a.csv")
    sink = open_sink(str(path), format="csv", schema=schema)
    sink.abort()
