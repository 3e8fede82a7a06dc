"""A group with one command for each installed kind, and with job files in a kind's place.

Knows no kind by name: whatever the registry finds is a command, with the options that it declares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.cli.options.help_text import ExampleCommand, ExampleMixin
from batcher.cli.options.job import (
    COMMON,
    given,
    job_options,
    needed_first,
    output_options,
    run_options,
)
from batcher.cli.options.kind import kind_options
from batcher.cli.options.layers import layers_of, read_job_file
from batcher.cli.options.lazy_group import did_you_mean
from batcher.cli.options.setting import Setting
from batcher.cli.options.shared import every_key, shared_options
from batcher.core.errors import BatcherError, UsageError
from batcher.core.job.delivery import DeliverySpec
from batcher.core.job.spec import JobSpec
from batcher.core.text import exactjson

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Action = Callable[[click.Context, JobSpec], None]


class Input(click.Argument):
    """The input, from the command line or a job file."""

    def __init__(self) -> None:
        super().__init__(["input"], required=False, metavar="INPUT")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """A file."""
        from batcher.cli.options.suggestions import file_items

        return file_items(incomplete)

    def make_metavar(self, ctx: click.Context) -> str:
        """Not in brackets: only a job file makes up for it."""
        del ctx
        return "INPUT"


class KindCommand(ExampleCommand):
    """A kind's command. What says what the work is may be said once only."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it, but for options of the kind that are repeated.

        A second `--text` would not be a second column: it would silently replace the first.
        """
        if ctx.resilient_parsing and args and args[-1].startswith("-"):
            args = args[:-1]  # a shell asks for its value, and the rest of the line counts
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        for param, times in Counter(order).items():
            if isinstance(param, Setting) and param.of_kind and not param.multiple and times > 1:
                raise click.UsageError(f"{param.opts[0]} is given {times} times: once only", ctx)
        return super().parse_args(ctx, args)


class KindGroup(ExampleMixin, click.Group):
    """``batcher run`` and ``batcher estimate``: the same jobs, another ``action``.

    ``sends``: it does so here, and delivers; ``delivers``: somebody does.
    """

    def __init__(
        self,
        *args: Any,
        action: Action,
        json_help: str,
        sends: bool,
        delivers: bool | None = None,
        own_options: Callable[[], list[Setting]] = list,
        **more: Any,
    ) -> None:
        super().__init__(*args, options_metavar=None, **more)
        self._action = action
        self._own_options = own_options
        self._json_help = json_help
        self._sends = sends
        self._delivers = sends if delivers is None else delivers

    @cached_property
    def kinds(self) -> InstalledKinds:
        """The kinds of this environment."""
        return InstalledKinds()

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the kinds."""
        del ctx
        return list(self.kinds.names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a kind."""
        del ctx
        if cmd_name not in self.kinds.names():
            return None
        kind = self.kinds.get(cmd_name)
        verb, name = self.name, kind.name
        output = " -o OUTPUT.jsonl" if self._delivers else ""
        example = getattr(kind, "example", "")
        return KindCommand(
            name=name,
            params=[
                Input(),
                *kind_options(kind),
                *needed_first(self._options()),
            ],
            callback=self._act,
            help=f"{kind.summary}\n\nINPUT is a .csv, .tsv, .jsonl, .json or .parquet file, all "
            "but the last also as .gz or .zst, or - for standard input.",
            short_help=kind.summary,
            options_metavar="-o OUTPUT [OPTIONS]" if self._delivers else "[OPTIONS]",
            examples=(f"batcher {verb} {name} INPUT.csv{output} --model NAME {example}".rstrip(),),
        )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """A kind, else a job file."""
        from batcher.cli.options.suggestions import file_items

        return super().shell_complete(ctx, incomplete) or file_items(incomplete)

    def _options(self) -> list[Setting]:
        """The options that every kind's command has."""
        return [
            *job_options(),
            *output_options(hidden=not self._delivers),
            *run_options(hidden=not self._sends),
            *self._own_options(),
            *shared_options(self._json_help),
        ]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the kinds, then the options that most commands need, whatever their kind."""
        self.format_commands(ctx, formatter)
        common = [option for option in needed_first(self._options()) if option.heading == COMMON]
        records = [record for option in common if (record := option.get_help_record(ctx))]
        with formatter.section(COMMON):
            formatter.write_dl(records, col_max=34)
            formatter.write_dl([(f"batcher {self.name} KIND --help", "All options, by kind.")])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the kinds; one that cannot be imported does not hide the others."""
        rows = []
        for name in self.list_commands(ctx):
            try:
                command = self.get_command(ctx, name)
            except BatcherError as exc:
                rows.append((name, str(exc)))
            else:
                rows.append((name, "" if command is None else command.get_short_help_str(80)))
        with formatter.section("Kinds"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The kind's command; for a job file, that of the kind which it names."""
        name = args[0]
        if name.endswith(".toml"):
            name = self._open_job_file(ctx, name)
        command = self.get_command(ctx, name)
        if command is None:
            known = self.list_commands(ctx)
            if Path(name).suffix or Path(name).exists():
                raise click.UsageError(
                    f"the kind comes first: batcher {self.name} KIND {name}, where KIND is one of "
                    f"{', '.join(known)}",
                    ctx,
                )
            raise click.UsageError(
                f"no kind {name!r}{did_you_mean(name, known)}: there are {', '.join(known)}, "
                "or name a job file (.toml)",
                ctx,
            )
        return name, command, args[1:]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Say where options belong, if some come first."""
        first = args[0] if args else ""
        if first.startswith("-") and first not in ("-", *ctx.help_option_names):
            raise click.UsageError(
                f"options come last: batcher {self.name} KIND INPUT {first} …", ctx
            )
        return super().parse_args(ctx, args)

    def spec_of_file(self, ctx: click.Context, path: str) -> tuple[JobSpec, DeliverySpec | None]:
        """The job that a job file describes, and where its results go, if it says that.

        Raises:
            UsageError: there is no such file, or it describes no job.
        """
        kind = self.get_command(ctx, name := self._open_job_file(ctx, path))
        if kind is None:
            raise UsageError(f"{path}: no kind {name!r}: there are {', '.join(self.kinds.names())}")
        profile = ctx.params.get("profile")
        arguments = [] if profile is None else ["--profile", profile]
        with kind.make_context(name, arguments, parent=ctx) as within:
            return spec_from(within), delivery_from(within)

    def _open_job_file(self, ctx: click.Context, path: str) -> str:
        layer = read_job_file(path)
        layer.check_known(every_key() | {"kind", "input"})
        if not isinstance(kind := layer.values.get("kind"), str):
            raise UsageError(
                f'{path}: kind = "…" is missing: there are {", ".join(self.list_commands(ctx))}'
            )
        layers_of(ctx).job_file = layer
        return kind

    def _act(self, **_: Any) -> None:
        ctx = click.get_current_context()
        self._action(ctx, spec_from(ctx))


def spec_from(ctx: click.Context) -> JobSpec:
    """The job that a kind's command line describes.

    Raises:
        UsageError: something is missing or contradictory.
    """
    file = layers_of(ctx).job_file
    plain: dict[str, Any] = {"kind": ctx.command.name, "options": {}}
    plain["input"] = ctx.params["input"] or file.values.get("input")
    if plain["input"] and not isinstance(plain["input"], str):
        raise UsageError(f"{file.name}: input is the path of one file, in quotes")
    if not plain["input"]:
        raise click.UsageError("INPUT is missing: name a file, or - for standard input", ctx)
    items: list[tuple[str, str]] = []
    for setting, value in given(ctx):
        if setting.item_of is not None:
            items += [(setting.item_of, item) for item in value]
        elif setting.of_kind:
            plain["options"][setting.name] = _option(value)
        elif setting.spec is not None:
            plain[setting.spec] = _plain(setting, value)
    _settle_provider(ctx, plain)
    for name, item in items:
        plain["options"].setdefault(name, []).append(item)
    if not plain.get("model"):
        raise click.UsageError(
            "--model NAME is missing; BATCHER_MODEL or a profile in batcher.toml can say it, too",
            ctx,
        )
    spec = JobSpec.from_json(plain)
    if spec.since_last and ctx.params["fresh"]:
        raise UsageError("--fresh sends all rows again, and --since-last only some: choose one")
    return spec


def delivery_from(ctx: click.Context) -> DeliverySpec | None:
    """Where a command line has its results delivered; None where it does not say so.

    Raises:
        UsageError: that is no place.
    """
    options = ctx.params
    if options["output"] is None:
        return None
    return DeliverySpec(
        output=options["output"],
        format=options["output_format"],
        overwrite=options["overwrite"],
        csv_safe=options["csv_safe"],
        failed_rows=options["failed_rows"],
    )


def _settle_provider(ctx: click.Context, plain: dict[str, Any]) -> None:
    """Let a provider's name and what says the same in other words not both count.

    A flag means more than a job file, that more than the environment, a profile the least. What is
    said in one place is a contradiction, which is left for the provider to tell.
    """
    ranks = {setting.spec: setting.rank(ctx) for setting, _ in given(ctx) if setting.spec in plain}
    if (named := ranks.get("provider")) is None:
        return
    others = {name: ranks[name] for name in _OF_PROVIDERS if name in ranks}
    if any(rank > named for rank in others.values()):
        del plain["provider"]
        return
    for name, rank in others.items():
        if rank < named:
            del plain[name]


_OF_PROVIDERS = ("base_url", "api_version", "api_key_env", "headers")


def _option(value: Any) -> Any:
    """A kind's option as its kind takes it: what may be several and is one, as one."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _plain(setting: Setting, value: Any) -> Any:
    if setting.spec == "keep_input":
        return not value
    if setting.spec == "params":
        return {name: _json_or_text(text) for name, text in value}
    return dict(value) if setting.spec == "headers" else value


def _json_or_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return exactjson.loads(value, constant=_no_json)
    except (ValueError, RecursionError):
        return value


def _no_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
