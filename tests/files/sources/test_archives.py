from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from functools import partial

import pytest
import zstandard

from batcher.core.errors import InputError
from tests.files.reading import Inputs, records

CONTENT = b"id,text\n" + b"".join(b"%d,text %d\n" % (i, i * i) for i in range(20_000))

ARCHIVES: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gz", partial(gzip.compress, mtime=0)),
    ("zst", zstandard.ZstdCompressor(write_checksum=True).compress),
]
ARCHIVE = pytest.mark.parametrize(("suffix", "compress"), ARCHIVES, ids=["gz", "zst"])


@ARCHIVE
@pytest.mark.parametrize("name", ["a.csv.{}", "A.CSV.{}", "a.csv"])
def test_content_is_decompressed_and_the_archive_hashed(
    inputs: Inputs, suffix: str, compress: Callable[[bytes], bytes], name: str
) -> None:
    archive = compress(CONTENT)
    facts, rows = inputs.read(name.format(suffix), archive, id_column="id")
    assert facts.sha256 == hashlib.sha256(archive).hexdigest()
    assert facts.size_bytes == len(archive)
    assert records(rows)[-1] == {"id": "19999", "text": f"text {19_999**2}"}


@ARCHIVE
def test_members_follow_one_another(
    inputs: Inputs, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    archive = (
        compress(b'{"a": 1}\n') + compress(b"") + compress(b'{"a": 2}\n{"a"') + compress(b":3}")
    )
    _, rows = inputs.read(f"a.jsonl.{suffix}", archive)
    assert records(rows) == [{"a": 1}, {"a": 2}, {"a": 3}]


@ARCHIVE
@pytest.mark.parametrize("missing", [1, 5, 1000])
def test_a_truncated_archive(
    inputs: Inputs, suffix: str, compress: Callable[[bytes], bytes], missing: int
) -> None:
    for skip_bad in (False, True):
        with pytest.raises(InputError) as error:
            inputs.read(f"a.csv.{suffix}", compress(CONTENT)[:-missing], skip_bad=skip_bad)
        assert str(error.value) == (
            f"{inputs.directory / 'a.csv'}.{suffix}: the .{suffix} archive ends too early: "
            "make or download it again"
        )


@ARCHIVE
def test_a_corrupt_archive(inputs: Inputs, suffix: str, compress: Callable[[bytes], bytes]) -> None:
    archive = bytearray(compress(CONTENT))
    archive[50:60] = b"0123456789"
    with pytest.raises(InputError, match=rf"the \.{suffix} archive is corrupt: make or download"):
        inputs.read(f"a.csv.{suffix}", bytes(archive))
    with pytest.raises(InputError, match="archive is corrupt: make or download"):
        inputs.read(f"a.csv.{suffix}", compress(CONTENT) + b"garbage garbage")


@ARCHIVE
def test_a_name_that_promises_too_much(
    inputs: Inputs, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(
        InputError, match=f"its name ends in .{suffix} but it is not such an archive"
    ):
        inputs.read(f"a.csv.{suffix}", CONTENT)
    with pytest.raises(InputError, match="the file is empty"):
        inputs.read(f"a.csv.{suffix}", b"")
    with pytest.raises(InputError, match="the file is empty"):
        inputs.read(f"a.csv.{suffix}", compress(b""))


def test_gzip_may_be_padded_with_zeros(inputs: Inputs) -> None:
    _, rows = inputs.read("a.csv.gz", gzip.compress(b"a\n1\n") + bytes(1000))
    assert records(rows) == [{"a": "1"}]
