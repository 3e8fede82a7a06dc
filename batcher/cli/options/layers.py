"""Settings that stand in files: a job file, and ``batcher.toml`` with its profiles.

A job file is named on the command line and so goes before the environment; a profile goes after it.
The input and the output that they name are as seen from the working directory, as they would be on
the command line; other files that a job file names (prompts, labels) may stand beside it, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from batcher.adapters.system.configuration import CONFIGURATION, PROVIDERS, read_toml
from batcher.core.errors import UsageError
from batcher.core.text.near import is_request_parameter, meant

_META = "batcher.layers"


@dataclass(slots=True)
class Layer:
    """The settings of one file or table, and how to name it in messages."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def beside(self, path: str) -> str:
        """A file that is named here, where it stands beside this file; else the path as it is."""
        here = Path(self.name).parent / path
        try:
            return str(here) if here.is_file() else path
        except (OSError, ValueError):
            return path  # it is a text, and no path could be as long

    def check_known(self, known: Iterable[str]) -> None:
        """Refuse a setting that nobody would read.

        Raises:
            UsageError: with what was probably meant.
        """
        names = sorted(known)
        for key in self.values:
            if key not in names:
                raise UsageError(f"{self.name}: no setting {key!r}{_meant(key, names)}")


def _meant(key: str, names: list[str]) -> str:
    if "param" in names and is_request_parameter(key):
        return "; a parameter of the requests belongs to a table [param]"
    known = meant(key, names)
    return f" (did you mean {known!r}?)" if known else ""


@dataclass(slots=True)
class Layers:
    """What a command takes its settings from, besides flags and environment."""

    job_file: Layer = field(default_factory=lambda: Layer(""))
    profile: Layer = field(default_factory=lambda: Layer(""))
    env_file: str = ""


def layers_of(ctx: click.Context) -> Layers:
    """The layers of this command line."""
    layers = ctx.meta.setdefault(_META, Layers())
    assert isinstance(layers, Layers)
    return layers


def files_of(ctx: click.Context) -> list[str]:
    """The files of settings of this command line, which no output may replace."""
    layers = layers_of(ctx)
    return [str(CONFIGURATION), *filter(None, (layers.job_file.name, layers.env_file))]


def read_job_file(path: str) -> Layer:
    """A job file's settings; a table ``[options]`` is the same as its keys on the top level.

    Raises:
        UsageError: it cannot be read, or names a setting twice.
    """
    try:
        values = read_toml(Path(path))
    except FileNotFoundError as exc:
        raise UsageError(f"{path}: there is no such job file") from exc
    options = values.pop("options", {})
    if not isinstance(options, dict):
        raise UsageError(f"{path}: [options] is a table of the kind's options")
    if twice := sorted(set(options) & set(values)):
        raise UsageError(f"{path}: {twice[0]!r} is set twice, in [options] and above")
    return Layer(path, {**values, **options})


def read_profile(name: str | None) -> Layer:
    """``[defaults]`` of ``batcher.toml``, overlaid by ``[profiles.NAME]``.

    Raises:
        UsageError: the file is wrong, or has no such profile.
    """
    if not CONFIGURATION.is_file():
        if name is None:
            return Layer("")
        raise UsageError(f"no profile {name!r}: there is no {CONFIGURATION} in this directory")
    tables = read_toml(CONFIGURATION)
    tables.pop(PROVIDERS, None)  # which are read where one is named
    defaults, profiles = tables.pop("defaults", {}), tables.pop("profiles", {})
    if tables:
        raise UsageError(
            f"{CONFIGURATION}: no setting {next(iter(tables))!r} on the top level: settings belong "
            "to [defaults], [profiles.NAME] or [providers.NAME]"
        )
    tables_of_profiles = isinstance(profiles, dict) and all(
        isinstance(profile, dict) for profile in profiles.values()
    )
    if not isinstance(defaults, dict) or not tables_of_profiles:
        raise UsageError(f"{CONFIGURATION}: [defaults] and [profiles.NAME] are tables")
    if name is None:
        return Layer(f"{CONFIGURATION} [defaults]", defaults)
    if name not in profiles:
        there = ", ".join(profiles) or "none"
        raise UsageError(f"no profile {name!r} in {CONFIGURATION}: there are {there}")
    return Layer(f"{CONFIGURATION} [profiles.{name}]", {**defaults, **profiles[name]})
