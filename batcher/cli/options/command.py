"""The commands about one job that is there already: what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from batcher.cli.options.help_text import ExampleCommand
from batcher.cli.options.setting import Setting
from batcher.cli.options.shared import json_option, shared_options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class JobArgument(click.Argument):
    """``JOB``: an id, or as much of its beginning as no other job has; without it the last job."""

    def __init__(self) -> None:
        super().__init__(["job"], required=False, metavar="[JOB]")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The jobs that there are."""
        from batcher.cli.options.suggestions import job_items

        return job_items(ctx, incomplete)


def command(
    name: str,
    *,
    json: str | None,
    short_help: str | None = None,
    examples: Sequence[str],
    params: Sequence[click.Parameter] = (),
    profile: bool = True,
) -> Callable[[Callable[..., None]], ExampleCommand]:
    """Make a command of a function that takes the context and its parameters.

    ``json`` says what ``--json`` prints; None: there is no such option. The function's
    docstring is the help.
    """

    def make(function: Callable[..., None]) -> ExampleCommand:
        shared: list[Setting] = []
        if profile:
            shared = shared_options(json)
        elif json is not None:
            shared = [json_option(json)]

        def callback(**values: Any) -> None:
            for hidden in ("db", "db_timeout", "env_file", "profile", "redis"):
                values.pop(hidden, None)
            function(click.get_current_context(), **values)

        return ExampleCommand(
            name=name,
            callback=callback,
            params=[*params, *shared],
            help=function.__doc__,
            short_help=short_help,
            examples=examples,
        )

    return make
