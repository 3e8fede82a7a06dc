"""An option whose value comes from a flag, a job file, the environment, a profile or its default.

In this order, the first that has one. The environment's name is ``BATCHER_`` and the option's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from batcher.cli.options.layers import Layer, layers_of
from batcher.core.errors import UsageError
from batcher.core.options import read_record


class Setting(click.Option):
    """One option.

    ``heading`` is where help lists it; ``spec`` the field of ``JobSpec`` that it fills, if any;
    ``of_kind`` says that it belongs to the job kind, ``item_of`` which of the kind's lists it adds
    to. ``names_file``: a job file says it as seen from where that stands. ``key`` is its name in
    files. ``default_text`` is what help says of a default that click
    does not know.
    """

    def __init__(
        self,
        *declarations: str,
        heading: str = "General",
        spec: str | None = None,
        of_kind: bool = False,
        item_of: str | None = None,
        names_file: bool = False,
        help: str,
        default_text: str | None = None,
        **more: Any,
    ) -> None:
        if default_text is not None:
            help = f"{help}  [default: {default_text}]"
        super().__init__(list(declarations), help=help, **more)
        self.key = max(self.opts, key=len).lstrip("-").replace("-", "_")
        if self.envvar is None:
            self.envvar = f"BATCHER_{self.key.upper()}"
        self.heading = heading
        self.spec = spec
        self.of_kind = of_kind
        self.item_of = item_of
        self.names_file = names_file

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        """The value and where it is from; files count as click's default map."""
        value, source = super().consume_value(ctx, opts)
        if source is ParameterSource.COMMANDLINE:
            return value, source
        layers = layers_of(ctx)
        if self.key in layers.job_file.values:
            value = self._from_layer(ctx, layers.job_file)
            if self.names_file:
                value = layers.job_file.beside(value)
            return value, ParameterSource.DEFAULT_MAP
        if source is ParameterSource.DEFAULT and self.key in layers.profile.values:
            return self._from_layer(ctx, layers.profile), ParameterSource.DEFAULT_MAP
        return value, source

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """As click does it; a bad value that was not typed says where it stands."""
        try:
            return super().process_value(ctx, value)
        except click.BadParameter as exc:
            origin = self._origin(ctx)
            if not origin:
                raise
            raise click.BadParameter(f"{exc.message.rstrip('.')} (in {origin})", ctx, self) from exc

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What a shell may complete the value with."""
        from batcher.cli.options import suggestions

        if self.metavar == "COLUMN":
            return suggestions.column_items(ctx, incomplete)
        if self.metavar in ("FILE", "PATH"):
            return suggestions.file_items(incomplete)
        if self.key == "profile":
            return suggestions.profile_items(incomplete)
        if self.key == "name":
            return suggestions.name_items(ctx, incomplete)
        return super().shell_complete(ctx, incomplete)

    def is_given(self, ctx: click.Context) -> bool:
        """Whether the value is more than the default."""
        return ctx.get_parameter_source(self.name or "") is not ParameterSource.DEFAULT

    def rank(self, ctx: click.Context) -> int:
        """How much what it was said by counts: the command line the most, then as files and all."""
        source = ctx.get_parameter_source(self.name or "")
        if source is ParameterSource.COMMANDLINE:
            return 4
        if source is ParameterSource.ENVIRONMENT:
            return 2
        if source is ParameterSource.DEFAULT_MAP:
            return 3 if self.key in layers_of(ctx).job_file.values else 1
        return 0

    def _origin(self, ctx: click.Context) -> str:
        """The file or the variable that a value is from; empty where it was typed."""
        source = ctx.get_parameter_source(self.name or "")
        if source is ParameterSource.ENVIRONMENT and self.envvar is not None:
            names = [self.envvar] if isinstance(self.envvar, str) else self.envvar
            return next((name for name in names if os.environ.get(name)), "")
        if source is ParameterSource.DEFAULT_MAP:
            layers = layers_of(ctx)
            in_job_file = self.key in layers.job_file.values
            return layers.job_file.name if in_job_file else layers.profile.name
        return ""

    def _from_layer(self, ctx: click.Context, layer: Layer) -> Any:
        """A TOML value in the form that the command line would have given it."""
        value = layer.values[self.key]
        if self.is_flag:
            if isinstance(value, bool):
                return value
        elif self.multiple:
            if isinstance(value, Mapping):
                return list(value.items())
            return value if isinstance(value, list) else [value]
        elif isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
            if isinstance(self.type, Record):
                return value
            if not self.of_kind:
                return ",".join(str(item) for item in value)
        elif not isinstance(value, bool | Mapping | list):
            return str(value)
        raise click.BadParameter(f"{value!r} has the wrong type (in {layer.name})", ctx, self)


if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    PairType = click.ParamType[tuple[str, Any]]
    TextsType = click.ParamType[list[str]]
    TextType = click.ParamType[str]
else:  # generic only in its stubs, or in newer versions
    PairType = TextsType = TextType = click.ParamType


class Record(TextsType):
    """Some texts: as one CSV record where they are typed, as a list where a file says one."""

    name = "record"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """The texts."""
        if isinstance(value, list):
            return [_in_words(item) for item in value]
        try:
            return list(read_record("it", str(value)))
        except UsageError as exc:
            self.fail(str(exc), param, ctx)


class Lines(TextType):
    """One text of several; from the environment, one a line."""

    name = "text"

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """One text a line."""
        return [line.removesuffix("\r") for line in rv.split("\n") if line.strip()]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text; a file may say a number."""
        if not isinstance(value, str | int | float):
            self.fail(f"{value!r} is not text", param, ctx)
        return _in_words(value)


def _in_words(value: Any) -> str:
    """A TOML value as one would type it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Pairs(PairType):
    """``NAME<separator>VALUE``; from the environment, one pair a line."""

    name = "pair"

    def __init__(self, separator: str) -> None:
        self._separator = separator

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """One pair a line."""
        return [line for line in rv.splitlines() if line.strip()]

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """The name and the value; what a file said in pairs already stays as it is."""
        if isinstance(value, tuple):
            return value
        name, separator, text = str(value).partition(self._separator)
        if not separator or not name.strip():
            # The value may be a credential: it is not repeated.
            self.fail(f"write NAME{self._separator}VALUE", param, ctx)
        return name.strip(), text.strip()
