"""What form a chat answer was asked to have, checked as strictly as OpenAI checks it.

With `strict`, every object of a schema must forbid additional properties and require all
that it names: a request that a lenient server would take is refused here, as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from batcher.simulator.replies import Refused, invalid, json_type, missing, wrong_type

Schema = Mapping[str, Any]

UNSUPPORTED_KEYWORDS = (
    "not",
    "if",
    "then",
    "else",
    "pattern",
    "patternProperties",
    "propertyNames",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
    "unevaluatedItems",
)
"""Keywords for which no instance can be made; all but `pattern` are refused by OpenAI too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFormat:
    """The form of the answer; `schema` only for `json_schema`."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    schema: Schema | None = None


def read_response_format(given: object, texts: Sequence[str]) -> ResponseFormat:
    """Validate `response_format`; `texts` are the messages', where the word "json" must be."""
    if given is None:
        return ResponseFormat()
    if not isinstance(given, dict):
        raise wrong_type("response_format", "an object", given)
    match given.get("type"):
        case "text":
            return ResponseFormat()
        case "json_object":
            if not any("json" in text.lower() for text in texts):
                raise invalid(
                    "'messages' must contain the word 'json' in some form, to use "
                    "'response_format' of type 'json_object'.",
                    param="messages",
                )
            return ResponseFormat(type="json_object")
        case "json_schema":
            return ResponseFormat(type="json_schema", schema=_read_schema(given))
        case None:
            raise missing("response_format.type")
        case other:
            raise invalid(
                f"Invalid value: {str(other)!r}. Supported values are: 'json_object', "
                "'json_schema', and 'text'.",
                param="response_format.type",
                code="invalid_value",
            )


def _read_schema(given: Mapping[str, Any]) -> Schema:
    where = "response_format.json_schema"
    wrapper = given.get("json_schema")
    if wrapper is None:
        raise missing(where)
    if not isinstance(wrapper, dict):
        raise wrong_type(where, "an object", wrapper)
    name, schema = wrapper.get("name"), wrapper.get("schema")
    if name is None:
        raise missing(f"{where}.name")
    if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum():
        raise invalid(
            f"Invalid '{where}.name': string does not match pattern. Expected a string that "
            "matches the pattern '^[a-zA-Z0-9_-]+$'.",
            param=f"{where}.name",
            code="invalid_value",
        )
    if schema is None:
        raise missing(f"{where}.schema")
    if not isinstance(schema, dict):
        raise wrong_type(f"{where}.schema", "an object", schema)
    strict = wrapper.get("strict") is True
    if strict and schema.get("type") != "object":
        raise invalid_schema(
            name,
            "schema must be a JSON Schema of 'type: \"object\"', got "
            f"'type: \"{schema.get('type', 'None')}\"'.",
        )
    for path, part in _parts(schema, ()):
        _check_part(part, path, name, strict=strict)
    return schema


def invalid_schema(name: str, why: str) -> Refused:
    """Return the 400 for a schema that cannot be used."""
    return invalid(f"Invalid schema for response_format '{name}': {why}", param="response_format")


def _check_part(part: object, path: tuple[str, ...], name: str, *, strict: bool) -> None:
    context = f"In context=({', '.join(map(repr, path))}{',' if len(path) == 1 else ''})"
    if not isinstance(part, dict):
        if isinstance(part, bool) and not strict:
            return
        raise invalid_schema(name, f"{context}, a schema must be an object, got {json_type(part)}.")
    for keyword in UNSUPPORTED_KEYWORDS:
        if keyword in part:
            raise invalid_schema(name, f"{context}, '{keyword}' is not permitted.")
    if not strict or not ("properties" in part or part.get("type") == "object"):
        return
    if part.get("additionalProperties") is not False:
        raise invalid_schema(
            name, f"{context}, 'additionalProperties' is required to be supplied and to be false."
        )
    unnamed = [key for key in part.get("properties", {}) if key not in part.get("required", ())]
    if unnamed:
        raise invalid_schema(
            name,
            f"{context}, 'required' is required to be supplied and to be an array including "
            f"every key in properties. Missing '{unnamed[0]}'.",
        )


def _parts(schema: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every schema inside a schema, itself first, with the way to it."""
    yield path, schema
    if not isinstance(schema, dict):
        return
    for keyword in ("properties", "$defs", "definitions"):
        members = schema.get(keyword)
        if isinstance(members, dict):
            for key, member in members.items():
                yield from _parts(member, (*path, keyword, key))
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        members = schema.get(keyword)
        if isinstance(members, list):
            for index, member in enumerate(members):
                yield from _parts(member, (*path, keyword, str(index)))
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from _parts(schema[keyword], (*path, keyword))
