"""How help reads: options under headings, and examples that can be copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

WIDTH = 100


class ExampleMixin(click.Command):
    """A command whose help ends with examples, one command line each."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **more: Any) -> None:
        more.setdefault(
            "context_settings",
            {"max_content_width": WIDTH, "help_option_names": ["-h", "--help"]},
        )
        super().__init__(*args, **more)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are; wrapped, they could not be copied."""
        del ctx
        if self.examples:
            formatter.write_paragraph()
            formatter.write("Examples:\n" if len(self.examples) > 1 else "Example:\n")
            for example in self.examples:
                first, *rest = example.splitlines()
                formatter.write(f"  {first}\n" + "".join(f"      {line}\n" for line in rest))


class ExampleCommand(ExampleMixin):
    """A command with options under the headings that they name in ``heading``."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The arguments, then the options: the order in which they are typed."""
        options, *arguments = super().collect_usage_pieces(ctx)
        return [*arguments, options]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options, each heading in the order of its first option."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                heading = getattr(param, "heading", "General")
                headings.setdefault(heading, []).append(record)
        general = headings.pop("General", [])
        for heading, rows in [*headings.items(), ("General", general)]:
            if rows:
                with formatter.section(heading if len(headings) else "Options"):
                    formatter.write_dl(rows, col_max=34)


class ExampleGroup(ExampleMixin, click.Group):
    """A group whose help ends with examples."""

    command_class = ExampleCommand
