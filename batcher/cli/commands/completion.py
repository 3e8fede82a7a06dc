"""``batcher completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from batcher.cli.options.help_text import ExampleCommand
from batcher.cli.options.suggestions import COMPLETE_VAR

SHELLS = ("bash", "zsh", "fish")


class Shell(click.Argument):
    """The shell that the script is for."""

    def __init__(self) -> None:
        super().__init__(["shell"], type=click.Choice(SHELLS))


def _act(shell: str) -> None:
    made = get_completion_class(shell)
    assert made is not None
    script = made(click.get_current_context().find_root().command, {}, "batcher", COMPLETE_VAR)
    source = script.source_template % script.source_vars()
    # click's script for fish cuts names of columns, and help, at a comma.
    click.echo(source.replace('string split ","', 'string split --max 1 ","'))


completion = ExampleCommand(
    name="completion",
    callback=_act,
    params=[Shell()],
    help="""Print a script that has a shell complete commands, options and what belongs to them.

    That is columns of the input (for --text, --id and the like), ids and names of jobs, profiles,
    kinds and files. Put the line into the shell's start file: ~/.bashrc, ~/.zshrc, or
    ~/.config/fish/config.fish.
    """,
    short_help="Print a script for shell completion.",
    examples=(
        'eval "$(batcher completion bash)"',
        'eval "$(batcher completion zsh)"',
        "batcher completion fish | source",
    ),
)
