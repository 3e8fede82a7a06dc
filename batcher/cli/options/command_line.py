"""A command line that can be copied, from a job's description."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePath
from typing import Any

from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.cli.options.typed import shell_line
from batcher.core.errors import BatcherError
from batcher.core.job.spec import JobSpec
from batcher.core.options import flag, write_record
from batcher.core.text import exactjson


def command_of(spec: JobSpec, *, output: str | None = None) -> str:
    """The ``batcher run`` that means the same job; defaults are left out.

    ``output`` is the file that its records went to, as an absolute path.
    """
    where = "OUTPUT" if output is None else short_of_here(output)
    words = ["batcher", "run", spec.kind, spec.input, "-o", where, "--model", spec.model]
    for name, value in spec.options.items():
        if isinstance(value, list) and name in _repeated(spec.kind):
            words += [word for column in value for word in _words(name, column)]
        else:
            words += _words(name, value)
    headers = spec.headers if spec.provider is None else {}
    for field in dataclasses.fields(JobSpec):
        value = getattr(spec, field.name)
        if field.name in _ELSEWHERE or value == field.default:
            continue
        if spec.provider is None or field.name not in _OF_PROVIDERS:
            words += _words(field.name, value)
    for header, value in headers.items():
        words += ["--header", f"{header}:{value}"]
    for param, value in spec.params.items():
        words += ["--param", f"{param}={exactjson.dumps(value)}"]
    if spec.via == "replay":
        words += ["--via", "replay", "FILE"]
    if not spec.keep_input:
        words.append("--no-keep-input")
    return shell_line(words)


_OF_PROVIDERS = {"base_url", "api_version", "api_key_env"}
_ELSEWHERE = {"kind", "input", "model", "options", "headers", "params", "keep_input", "via"}


def _repeated(kind: str) -> set[str]:
    """The options of a kind whose flag is repeated for several values."""
    try:
        options = InstalledKinds().get(kind).options
    except BatcherError:
        return set()  # a kind that is not here any more
    return {option.name for option in options if option.type == "columns"}


def _words(name: str, value: Any) -> list[str]:
    if value is True:
        return [flag(name)]
    if value is False or value is None:
        return []
    if isinstance(value, list):
        return [flag(name), write_record(value)]
    return [flag(name), str(value)]


def short_of_here(path: str) -> str:
    """An absolute path, as it is called in the working directory if it is below that."""
    try:
        return str(PurePath(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return path


def short_path(path: str, width: int) -> str:
    """A path for a narrow column: its last part, cut in the middle if need be."""
    name = path if len(path) <= width else PurePath(path).name
    if len(name) <= width:
        return name
    half = (width - 1) // 2
    return f"{name[: width - 1 - half]}…{name[-half:]}"
