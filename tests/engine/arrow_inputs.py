"""Tables of any types that Parquet holds, for property tests."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import reject
from hypothesis import strategies as st

from batcher.adapters.formats.arrow_storage import holds_view, is_list_view

DAY_SECONDS = 86_400
TEXTS = st.text(max_size=8)
ZONES = st.sampled_from([None, "UTC", "Europe/Berlin", "+05:45", "Mars/Phobos", ""])


def _ints(bits: int, *, signed: bool = True) -> st.SearchStrategy[int]:
    if not signed:
        return st.integers(0, 2**bits - 1)
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _decimals(kind: Any) -> st.SearchStrategy[Decimal]:
    most = 10**kind.precision - 1
    # Read from a text: arithmetic would round to 28 digits.
    return st.integers(-most, most).map(lambda unscaled: Decimal(f"{unscaled}E{-kind.scale}"))


def _halves() -> st.SearchStrategy[float]:
    return st.floats(width=16)


SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (pa.null(), st.none()),
    (pa.bool_(), st.booleans()),
    *((getattr(pa, f"int{bits}")(), _ints(bits)) for bits in (8, 16, 32, 64)),
    *((getattr(pa, f"uint{bits}")(), _ints(bits, signed=False)) for bits in (8, 16, 32, 64)),
    (pa.float16(), _halves()),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.string(), TEXTS),
    (pa.large_string(), TEXTS),
    (pa.string_view(), TEXTS),
    (pa.binary(), st.binary(max_size=5)),
    (pa.large_binary(), st.binary(max_size=5)),
    (pa.binary_view(), st.binary(max_size=5)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.date32(), _ints(32)),
    (pa.time32("ms"), st.integers(0, DAY_SECONDS * 10**3 - 1)),
    (pa.time64("us"), st.integers(0, DAY_SECONDS * 10**6 - 1)),
    (pa.time64("ns"), st.integers(0, DAY_SECONDS * 10**9 - 1)),
    *((pa.duration(unit), _ints(64)) for unit in ("s", "ms", "us", "ns")),
    *(
        (kind, _decimals(kind))
        for kind in (
            pa.decimal32(5, 2), pa.decimal64(18, 0), pa.decimal128(38, 10), pa.decimal256(76, 3),
        )
    ),
]  # fmt: skip


def _timestamps() -> st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]]:
    units = st.sampled_from(["ms", "us", "ns"])
    return st.builds(lambda unit, zone: (pa.timestamp(unit, zone or None), _ints(64)), units, ZONES)


def _nested(
    inner: st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]],
) -> st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]]:
    def listed(of: tuple[Any, Any], make: Any) -> tuple[Any, Any]:
        return make(of[0]), st.lists(of[1] | st.none(), max_size=3)

    def pair(of: tuple[Any, Any]) -> tuple[Any, Any]:
        return pa.list_(of[0], 2), st.lists(of[1], min_size=2, max_size=2)

    def struct(of: dict[str, tuple[Any, Any]]) -> tuple[Any, Any]:
        kinds = pa.struct([(name, kind) for name, (kind, _) in of.items()])
        return kinds, st.fixed_dictionaries({n: v | st.none() for n, (_, v) in of.items()})

    def mapped(of: tuple[Any, Any]) -> tuple[Any, Any]:
        items = st.lists(st.tuples(TEXTS, of[1] | st.none()), max_size=3)
        return pa.map_(pa.string(), of[0]), items

    lists = [pa.list_, pa.large_list, pa.list_view]
    return st.one_of(
        st.builds(listed, inner, st.sampled_from(lists)),
        st.builds(pair, inner),
        st.builds(struct, st.dictionaries(TEXTS, inner, min_size=1, max_size=3)),
        st.builds(mapped, inner),
    )


TYPES = st.recursive(st.sampled_from(SCALARS) | _timestamps(), _nested, max_leaves=4)


@st.composite
def columns(draw: st.DrawFn, rows: int) -> Any:
    """An array of any type and with nulls, such that pyarrow can make an input of it."""
    array = draw(_columns(rows))
    for input_of_it in (array, pa.concat_arrays([array, array.slice(0, 1)])):
        try:
            pq.write_table(pa.table([input_of_it], names=["c"]), io.BytesIO())
        except pa.ArrowNotImplementedError:  # of views within other types
            reject()
    return array


@st.composite
def _columns(draw: st.DrawFn, rows: int) -> Any:
    special = draw(st.sampled_from(["plain", "plain", "plain", "dictionary", "extension"]))
    if special == "dictionary":
        index = draw(st.sampled_from([pa.int8(), pa.int32(), pa.uint16()]))
        words = draw(st.lists(TEXTS | st.none(), min_size=rows, max_size=rows))
        return (
            pa.array(words, pa.string()).dictionary_encode().cast(pa.dictionary(index, pa.string()))
        )
    if special == "extension":
        kind, values = draw(st.sampled_from(EXTENSIONS))
        storage = draw(st.lists(values | st.none(), min_size=rows, max_size=rows))
        return pa.ExtensionArray.from_storage(kind, pa.array(storage, kind.storage_type))
    kind, values = draw(TYPES.filter(lambda of: not _is_list_view_of_views(of[0])))
    return pa.array(draw(st.lists(values | st.none(), min_size=rows, max_size=rows)), kind)


def _is_list_view_of_views(kind: Any) -> bool:
    """Such a column is refused in the check."""
    inner = [kind.field(index).type for index in range(kind.num_fields)]
    return (is_list_view(kind) and holds_view(kind)) or any(map(_is_list_view_of_views, inner))


EXTENSIONS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (pa.uuid(), st.binary(min_size=16, max_size=16)),
    (pa.json_(), st.sampled_from(["{}", "[1]", "null"])),
    (pa.bool8(), st.sampled_from([0, 1])),
    (pa.fixed_shape_tensor(pa.int32(), [2]), st.lists(_ints(32), min_size=2, max_size=2)),
    (pa.opaque(pa.binary(), "point", "geo"), st.binary(max_size=3)),
]

ODD_NAMES = st.sampled_from(
    ["id", "row", "embedding", "label", "chunk", "embedding_result", "a.b", "", "é", 'q"', "x\ny"]
)


@st.composite
def tables(draw: st.DrawFn) -> Any:
    """A table of some rows; its first column, ``text``, is of any type, too."""
    rows = draw(st.integers(1, 4))
    names = ["text", *draw(st.lists(ODD_NAMES, max_size=4, unique=True))]
    return pa.table([draw(columns(rows)) for _ in names], names=names)
