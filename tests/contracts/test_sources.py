"""What every source promises (`batcher.ports.Source`), built in or installed."""

from __future__ import annotations

import gzip
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web

from batcher.adapters.sources.testing import check_source
from batcher.adapters.system.clock import SystemClock
from batcher.adapters.system.connectors import SOURCES, Connectors, suffixes_of
from batcher.core.errors import InputError, UsageError
from batcher.ports import InputSource, Source, SourceRequest

INSTALLED: Connectors[Source] = Connectors(SOURCES, Source)
IDS = [f"a{number}" for number in range(2_500)]
CSV = "id,text\n" + "".join(f"{id_},text of {id_}\n" for id_ in IDS)
LINES = "".join(f'{{"id": "{id_}", "text": "text of {id_}"}}\n' for id_ in IDS)


def parquet() -> bytes:
    buffer = io.BytesIO()
    table = pa.table({"id": IDS, "text": [f"text of {id_}" for id_ in IDS]})
    pq.write_table(table, buffer, row_group_size=1_000)
    return buffer.getvalue()


CONTENTS: dict[str, Callable[[], bytes]] = {
    ".csv": CSV.encode,
    ".tsv": lambda: CSV.replace(",", "\t").encode(),
    ".jsonl": LINES.encode,
    ".ndjson": LINES.encode,
    ".json": lambda: f"[{','.join(LINES.splitlines())}]".encode(),
    ".parquet": parquet,
    ".csv.gz": lambda: gzip.compress(CSV.encode()),
}


def wanted(address: str, tmp_path: Path) -> SourceRequest:
    return SourceRequest(address=address, spool_dir=tmp_path / "spool", clock=SystemClock())


@pytest.mark.parametrize("suffix", CONTENTS)
async def test_a_file_keeps_the_contract(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"in{suffix}"
    path.write_bytes(CONTENTS[suffix]())
    source = INSTALLED.find(str(path))
    facts = await check_source(source, wanted(str(path), tmp_path), id_column="id")
    assert (facts.rows, facts.columns) == (len(IDS), ("id", "text"))


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        del request
        return web.Response(text=CSV)

    app = web.Application()
    app.router.add_get("/in.csv", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_what_is_at_a_web_server_keeps_the_contract(server: str, tmp_path: Path) -> None:
    address = f"{server}/in.csv"
    source = INSTALLED.find(address)
    facts = await check_source(source, wanted(address, tmp_path), id_column="id")
    assert facts.rows == len(IDS)
    assert INSTALLED.get("https") is source


def test_no_source_that_is_built_in_is_left_out_here() -> None:
    built_in = {name for name in INSTALLED.names() if _is_built_in(name)}
    assert built_in == {*CONTENTS, "http", "https"} - {".csv.gz"}


def _is_built_in(name: str) -> bool:
    return type(INSTALLED.get(name)).__module__.startswith("batcher.")


class Broken:
    """A source whose second opening is of something else."""

    def __init__(self, sources: list[str], tmp_path: Path) -> None:
        self._paths = []
        for number, content in enumerate(sources):
            path = tmp_path / f"{number}.csv"
            path.write_text(content)
            self._paths.append(str(path))

    async def open(self, wanted: SourceRequest) -> InputSource:
        path = self._paths.pop(0)
        return await INSTALLED.find(path).open(
            SourceRequest(address=path, spool_dir=wanted.spool_dir, clock=wanted.clock)
        )


async def test_an_input_that_is_another_when_it_is_opened_again_is_found_out(
    tmp_path: Path,
) -> None:
    broken = Broken([CSV, CSV.replace("text of a7\n", "another\n")], tmp_path)
    with pytest.raises(AssertionError, match="opened again, the same input is another one"):
        await check_source(broken, wanted("x", tmp_path), id_column="id")


async def test_a_fault_in_a_row_is_found_out(tmp_path: Path) -> None:
    broken = Broken([CSV + "ragged\n"], tmp_path)
    with pytest.raises(InputError, match="expected 2 fields"):
        await check_source(broken, wanted("x", tmp_path), id_column="id")


@pytest.mark.parametrize("address", ["s3://bucket/in.csv", "file:///etc/passwd"])
def test_a_scheme_that_nobody_knows_is_refused_with_those_there_are(address: str) -> None:
    with pytest.raises(UsageError, match=r"no source for (s3|file):// is installed.*https://"):
        INSTALLED.find(address)


def test_the_longest_suffix_counts_and_then_the_one_below_a_compression() -> None:
    assert list(suffixes_of("/data.d/A.b.CSV.gz")) == [
        ".b.csv.gz",
        ".csv.gz",
        ".gz",
        ".b.csv",
        ".csv",
    ]
    assert list(suffixes_of("-")) == []
