"""What every kind must do, as a test that anybody's kind can run.

``check_kind`` binds a kind, renders records, makes bodies, reads a good answer and many bad ones,
as the engine would, and raises ``AssertionError`` where the kind does not keep its contract
(:mod:`batcher.core.kind`). It needs no network and no test framework::

    def test_my_kind() -> None:
        check_kind(KIND, {"text": "body"}, [{"body": "a text"}], answer)

where ``answer`` makes of a request's body what a good server would answer. A body that is a form
comes as its fields, with a description of each file; files are not read, and hold a few bytes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import orjson

from batcher.core.errors import RowError, UsageError
from batcher.core.kind import (
    BoundKind,
    Broken,
    Done,
    Invalid,
    Kind,
    Outcome,
    Overlong,
    Refused,
    Shape,
    shape_of,
)
from batcher.core.kind_optional import (
    AttachesFiles,
    GrowsOutput,
    framing_of,
    most_pieces,
    output_cap,
)
from batcher.core.model import Prompt
from batcher.core.row.attachments import Attachment, Form, encode_form
from batcher.core.row.parameters import OUTPUT_CAPS
from batcher.kinds.row_checks import ODD_VALUES, check_attachments, check_row_parameters

_FIELD_TYPES = ("vector", "text", "float", "int", "json")
_ENGINES_OWN = ("model", "stream")
_WRONG: tuple[Any, ...] = (None, [], {}, "", "text", 7, -1.5, True, [[]], [None], {"a": None})


class _Row(NamedTuple):
    """What is asked of one row: its texts, its parameters as bytes, and its files."""

    prompt: Prompt
    own: bytes
    files: Sequence[Attachment]


Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def check_kind(
    kind: Kind,
    options: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    answer: Answer,
) -> None:
    """Check that a kind keeps its contract.

    Args:
        kind: what the entry point names.
        options: some that are right together, as ``bind`` gets them.
        records: rows that have a result, all different; two or more for a kind that packs.
        answer: the good answer to a request's body.

    Raises:
        AssertionError: it does not, saying in what.
    """
    _check_options(kind, options)
    bound = kind.bind(dict(options))
    _check_bound(bound)
    _check_identity(bound, kind.bind(dict(options)))
    prompts = [_render(bound, record) for record in records]
    own = check_row_parameters(bound, records)
    files = check_attachments(bound, records)
    _check_odd_records(bound, records[0])
    most = most_pieces(bound) or len(prompts)
    rows = [_Row(*each) for each in zip(prompts, own, files, strict=True)]
    for _, group in groupby(rows, key=lambda row: row.own):
        together = list(group)
        for at in range(0, len(together), most):
            _check_request(bound, together[at : at + most], answer)


def _check_options(kind: Kind, options: Mapping[str, Any]) -> None:
    assert kind.name.isidentifier(), f"the name {kind.name!r} is not one word"
    assert isinstance(kind.version, int), "the version is not a whole number"
    assert kind.summary.endswith("."), "the summary is not a sentence"
    names = [option.name for option in kind.options]
    assert len(set(names)) == len(names), "two options have one name"
    for option in kind.options:
        assert option.name.isidentifier(), f"the option {option.name!r} is not one word"
        assert option.help, f"the option {option.name} has no help"
    unknown = set(options) - set(names)
    assert not unknown, f"the kind has no options {sorted(unknown)}"
    try:
        kind.bind({**options, "no_such_option": "x"})
    except UsageError:
        return
    raise AssertionError("bind takes an option that the kind does not have")


def _check_bound(bound: BoundKind) -> None:
    assert str(bound.endpoint).startswith("/"), "the endpoint is not a path"
    assert isinstance(bound.overlong, Overlong), "overlong is none"
    assert bound.fields, "a record gets no field"
    names = [field.name for field in bound.fields]
    assert len(set(names)) == len(names), "two fields have one name"
    for field in bound.fields:
        assert field.type in _FIELD_TYPES, f"the field {field.name} is a {field.type}"
    assert len(_vectors(bound)) <= 1, "a record has more than one vector"
    if bound.overlong is Overlong.MEAN:
        assert shape_of(bound.fields) is Shape.VECTOR, "only vectors alone have a mean"
    assert isinstance(bound.columns, tuple), "the columns are no tuple"
    most = most_pieces(bound)
    assert most is None or most >= 1, "a request carries no piece"
    framing = framing_of(bound)
    assert min(framing.text, framing.request) >= 0, "framing takes tokens away"
    limit = bound.max_output_tokens
    assert limit is None or limit >= 0, "the cap on the output is below 0"
    if isinstance(bound, GrowsOutput):
        growth = bound.output_tokens_per_piece
        assert growth >= 0, "the output shrinks with pieces"
        assert bound.packs or not growth, "the output grows with pieces, and a request carries one"


def _check_identity(bound: BoundKind, again: BoundKind) -> None:
    try:
        identity = orjson.loads(orjson.dumps(bound.identity))
    except TypeError as error:
        raise AssertionError(f"the identity is not plain JSON: {error}") from error
    assert identity == bound.identity, "the identity is not plain JSON"
    assert bound.identity == again.identity, "the same options make another identity"


def _render(bound: BoundKind, record: Mapping[str, Any]) -> Prompt:
    missing = [column for column in bound.columns if column not in record]
    assert not missing, f"the records lack the columns {missing}"
    kept = copy.deepcopy(dict(record))
    prompt = bound.render(record)
    assert dict(record) == kept, "render changes the record"
    assert bound.render(record) == prompt, "render makes something else of the same record"
    assert isinstance(prompt, tuple), f"render makes a {type(prompt).__name__}, not a tuple"
    assert prompt, "render makes no text"
    assert all(isinstance(text, str) for text in prompt), (
        "render returns something that is not text"
    )
    assert any(text.strip() for text in prompt), "a record that should have a result is blank"
    if bound.packs or bound.overlong is not Overlong.ERROR:
        assert len(prompt) == 1, "a kind that packs or cuts renders one text"
    return prompt


def _check_odd_records(bound: BoundKind, record: Mapping[str, Any]) -> None:
    """Whatever a column holds, the row is rendered or fails as a row."""
    for column in bound.columns:
        for value in ODD_VALUES:
            try:
                prompt = bound.render({**record, column: value})
            except RowError:
                continue
            except Exception as error:
                raise AssertionError(
                    f"render raises {type(error).__name__} for {column} = {value!r}, and no "
                    "RowError"
                ) from error
            assert all(isinstance(text, str) for text in prompt), (
                f"render returns something that is not text for {column} = {value!r}"
            )


def _check_request(bound: BoundKind, rows: Sequence[_Row], answer: Answer) -> None:
    body = _body(bound, rows)
    good = answer(body)
    outcomes = _parse(bound, good, len(rows))
    for outcome in outcomes:
        assert isinstance(outcome, Done), f"a good answer is {outcome!r}"
        _check_result(bound, outcome, whole=True)
    for bad in _bad_answers(good):
        for outcome in _parse(bound, bad, len(rows)):
            if isinstance(outcome, Done):
                _check_result(bound, outcome, whole=False)
    if len(rows) > 1:
        _check_parts(bound, rows, answer)
    _body(bound, rows[:1], repair=Invalid("invalid_output", "it is no JSON", "{"))


def _body(bound: BoundKind, rows: Sequence[_Row], repair: Invalid | None = None) -> dict[str, Any]:
    """The request's JSON; of a form its fields, with what there is to see of its files."""
    prompts = [row.prompt for row in rows]
    kept = list(prompts)

    def make() -> tuple[dict[str, Any], bytes]:
        if not isinstance(bound, AttachesFiles):
            made: Any = bound.body(prompts, repair=repair)
        else:
            made = bound.attached_body(prompts, [row.files for row in rows], repair=repair)
            if isinstance(made, Form):
                return made.to_json(), encode_form(made)[0]
        assert isinstance(made, dict), f"body makes a {type(made).__name__}"
        return made, orjson.dumps(made)

    body, encoded = make()
    assert list(prompts) == kept, "body changes the prompts"
    own = [name for name in _ENGINES_OWN if name in body]
    assert not own, f"body sets {own}, which is the engine's"
    cap = output_cap(bound, len(prompts))
    for name in OUTPUT_CAPS:
        assert name not in body or body[name] == cap, (
            f"body sets {name} to {body[name]} for {len(prompts)} pieces, and the kind says {cap}"
        )
    assert make()[1] == encoded, "body makes something else of the same prompts"
    plain: dict[str, Any] = orjson.loads(orjson.dumps(body))
    return plain


def _parse(bound: BoundKind, answer: Any, count: int) -> list[Outcome]:
    try:
        outcomes = bound.parse(copy.deepcopy(answer), count)
    except Exception as error:
        raise AssertionError(
            f"parse raises {type(error).__name__} for an answer like {_short(answer)}"
        ) from error
    assert isinstance(outcomes, list), f"parse makes a {type(outcomes).__name__}"
    assert len(outcomes) == count, (
        f"parse makes {len(outcomes)} outcomes of {count} pieces for {_short(answer)}"
    )
    for outcome in outcomes:
        assert isinstance(outcome, Done | Broken | Refused | Invalid), (
            f"parse makes a {type(outcome).__name__}"
        )
    return outcomes


def _check_result(bound: BoundKind, done: Done, *, whole: bool) -> None:
    """``whole``: of a good answer, which lacks no field."""
    shape = shape_of(bound.fields)
    result = done.value
    if isinstance(result, bytes):
        assert shape is not Shape.BOTH, "a result of a vector and other fields is bytes"
        if shape is Shape.VECTOR:
            assert result, "a vector is empty"
            assert len(result) % 4 == 0, "a vector is not float32"
            return
        assert b"\n" not in result, "a result is more than one line"
        result = orjson.loads(result)
    assert isinstance(result, Mapping), "a result is not an object of its fields"
    names = {field.name for field in bound.fields}
    assert not whole or names & set(result), "a result has none of the kind's fields"
    assert set(result) <= names, f"a result has {sorted(set(result) - names)}, which are no fields"
    for name in _vectors(bound):
        assert name in result, "a result lacks its vector"
        assert not whole or _is_vector(result[name]), "a vector is not a list of finite numbers"
    orjson.dumps(dict(result), option=orjson.OPT_SERIALIZE_NUMPY)


def _vectors(bound: BoundKind) -> list[str]:
    return [field.name for field in bound.fields if field.type == "vector"]


def _is_vector(value: Any) -> bool:
    numbers = value.tolist() if hasattr(value, "tolist") else value
    return (
        isinstance(numbers, list | tuple)
        and len(numbers) > 0
        and all(type(one) in (int, float) and math.isfinite(one) for one in numbers)
    )


def _check_parts(bound: BoundKind, rows: Sequence[_Row], answer: Answer) -> None:
    """What is asked for alone has the same result as in company."""
    together = _parse(bound, answer(_body(bound, rows)), len(rows))
    for row, outcome in zip(rows, together, strict=True):
        (alone,) = _parse(bound, answer(_body(bound, [row])), 1)
        assert _plain(alone) == _plain(outcome), (
            "a piece that is asked for alone has another result"
        )


def _plain(outcome: Outcome) -> Any:
    """An outcome that can be compared, whatever holds its vector."""
    if isinstance(outcome, Done) and isinstance(outcome.value, Mapping):
        return {
            name: value.tolist() if hasattr(value, "tolist") else value
            for name, value in outcome.value.items()
        }
    return outcome


def _bad_answers(good: Any) -> Iterator[Any]:
    """Answers that differ from a good one in one place each: left out, or of another type."""
    for path in _paths(good):
        for wrong in _WRONG:
            bad = copy.deepcopy(good)
            _put(bad, path, wrong)
            yield bad
        bad = copy.deepcopy(good)
        _drop(bad, path)
        yield bad
    yield {}
    yield {"error": {"message": "no"}}


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """Where there is something in a JSON value, the value itself left out."""
    parts: Sequence[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value[:20]))
    for key, part in parts:
        yield (key,)
        for path in _paths(part):
            yield (key, *path)


def _put(value: Any, path: tuple[Any, ...], wrong: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = wrong


def _drop(value: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        value = value[key]
    del value[path[-1]]


def _short(value: Any) -> str:
    return f"{value!r:.300}"
