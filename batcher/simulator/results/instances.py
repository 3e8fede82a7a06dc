"""Instances of JSON schemas: valid, and chosen deterministically.

Covers what structured outputs allow (types, enum, const, bounds, formats, anyOf, $ref with
recursion) and `oneOf`, `allOf` and `prefixItems` besides. `response_format` has refused what is
not covered before a schema comes here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from batcher.simulator.requests.response_format import invalid_schema
from batcher.simulator.results.choices import Choices
from batcher.simulator.results.words import WORDS

SHALLOW_DEPTH = 4
"""From here on a recursive schema is led to its end: no optional parts, the plainest branch."""
DEEPEST = 48

FORMATS: Mapping[str, str] = {
    "date": "2024-{:02}-{:02}",
    "time": "{:02}:{:02}:00Z",
    "date-time": "2024-{:02}-{:02}T12:00:00Z",
    "duration": "P{}DT{}H",
    "email": "user{}.{}@example.com",
    "hostname": "host{}-{}.example.com",
    "uri": "https://example.com/{}/{}",
    "ipv4": "192.0.2.{}",
    "ipv6": "2001:db8::{:x}",
    "uuid": "{:08x}-0000-4000-8000-{:012x}",
}


class InstanceMaker:
    """Makes instances of the parts of one schema, with one stream of choices."""

    __slots__ = ("_choices", "_root")

    def __init__(self, root: Mapping[str, Any], choices: Choices) -> None:
        self._root = root
        self._choices = choices

    def make(self, schema: Any = None, depth: int = 0) -> Any:
        """Return a valid instance of `schema`, a part of the root, or of the root itself."""
        if schema is None:
            schema = self._root
        if depth > DEEPEST:
            raise invalid_schema("schema", "it describes no finite instance.")
        if not isinstance(schema, Mapping):
            return self._text({})
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            return self.make({**self._resolve(schema["$ref"]), **rest}, depth + 1)
        if "allOf" in schema:
            return self.make(self._merged(schema), depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choices.one_of(schema["enum"])
        for keyword in ("anyOf", "oneOf"):
            if schema.get(keyword):
                return self._branch(schema, keyword, depth)
        return self._typed(schema, self._type(schema, depth), depth)

    def _typed(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        match name:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer" | "number":
                return self._number(schema, whole=name == "integer")
            case "boolean":
                return self._choices.below(2) == 1
            case "null":
                return None
            case "string":
                return self._text(schema)
            case _:
                raise invalid_schema("schema", f"'{name}' is not a type.")

    def _type(self, schema: Mapping[str, Any], depth: int) -> str:
        named = schema.get("type")
        if isinstance(named, list) and named:
            if depth >= SHALLOW_DEPTH and "null" in named:
                return "null"
            return str(self._choices.one_of(named))
        if named is not None:
            return str(named)
        if "properties" in schema:
            return "object"
        return "array" if "items" in schema or "prefixItems" in schema else "string"

    def _branch(self, schema: Mapping[str, Any], keyword: str, depth: int) -> Any:
        branches: Sequence[Any] = schema[keyword]
        if depth >= SHALLOW_DEPTH:
            branches = sorted(branches, key=_size)[:1]
        rest = {key: value for key, value in schema.items() if key != keyword}
        branch = self._choices.one_of(branches)
        return self.make({**rest, **branch} if isinstance(branch, Mapping) else rest, depth + 1)

    def _resolve(self, reference: object) -> Mapping[str, Any]:
        part: Any = self._root
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise invalid_schema("schema", f"the reference {reference!r} leads out of it.")
        for step in filter(None, reference[1:].split("/")):
            step = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(part, Mapping) or step not in part:
                raise invalid_schema("schema", f"the reference '{reference}' leads nowhere.")
            part = part[step]
        return part if isinstance(part, Mapping) else {}

    def _merged(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            while isinstance(part, Mapping) and "$ref" in part:
                part = self._resolve(part["$ref"])
            for key, value in part.items():
                if key == "properties":
                    merged[key] = {**merged.get(key, {}), **value}
                elif key == "required":
                    merged[key] = [*merged.get(key, ()), *value]
                else:
                    merged[key] = value
        return merged

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", ())
        made = {
            key: self.make(part, depth + 1)
            for key, part in schema.get("properties", {}).items()
            if key in required or depth < SHALLOW_DEPTH
        }
        more = schema.get("additionalProperties", True)
        for key in required:
            if key not in made and more is not False:
                made[key] = self.make(more, depth + 1)
        number = 0
        while len(made) < schema.get("minProperties", 0) and more is not False:
            number += 1
            made.setdefault(f"key{number}", self.make(more, depth + 1))
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first: Sequence[Any] = schema.get("prefixItems", ())
        low = max(schema.get("minItems", 0), len(first))
        wanted = low if depth >= SHALLOW_DEPTH else self._choices.between(max(low, 1), low + 2)
        wanted = min(wanted, schema.get("maxItems", wanted))
        items = schema.get("items", {})
        if items is False:
            wanted = min(wanted, len(first))
        made: list[Any] = []
        for _attempt in range(wanted * 50):
            if len(made) == wanted:
                break
            item = self.make(first[len(made)] if len(made) < len(first) else items, depth + 1)
            if not schema.get("uniqueItems") or item not in made:
                made.append(item)
        return made

    def _number(self, schema: Mapping[str, Any], *, whole: bool) -> int | float:
        above, under = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        lowest = _bound(schema.get("minimum"), above, max)
        highest = _bound(schema.get("maximum"), under, min)
        if lowest is None:
            lowest = 0 if highest is None or highest >= 0 else highest - 100
        if highest is None:
            highest = lowest + 100
        if not whole and "multipleOf" not in schema:
            value = lowest + (highest - lowest) * self._choices.between(1, 99) / 100
            return round(value, 2) if lowest < round(value, 2) < highest else value
        step = schema.get("multipleOf", 1)
        first, last = math.ceil(lowest / step), math.floor(highest / step)
        if above is not None and first * step <= above:
            first += 1
        if under is not None and last * step >= under:
            last -= 1
        if last < first:
            raise invalid_schema("schema", f"there is no number from {lowest} to {highest}.")
        value = self._choices.between(first, last) * step
        return int(value) if whole else round(value, 10)

    def _text(self, schema: Mapping[str, Any]) -> str:
        template = FORMATS.get(schema.get("format", ""))
        if template is not None:
            return template.format(self._choices.between(1, 12), self._choices.between(10, 23))
        low = schema.get("minLength", 0)
        high = schema.get("maxLength", max(low, 60))
        text = " ".join(WORDS[byte] for byte in self._choices.take(self._choices.between(1, 4)))
        while len(text) < low:
            text += " " + self._choices.one_of(WORDS)
        return text[:high]


def _bound(inclusive: float | None, exclusive: float | None, tighter: Any) -> float | None:
    given = [bound for bound in (inclusive, exclusive) if bound is not None]
    return tighter(given) if given else None


def _size(branch: object) -> int:
    """Order branches by how soon they end: null, plain values, then what has parts."""
    if not isinstance(branch, Mapping):
        return 1
    if branch.get("type") == "null":
        return 0
    return 3 if "$ref" in branch else 2 if branch.get("type") in ("object", "array") else 1
