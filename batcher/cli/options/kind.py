"""The options that a kind declares, as the command line takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from batcher.cli.options.setting import Lines, Record, Setting
from batcher.cli.options.shared import general_keys
from batcher.core.errors import UsageError
from batcher.core.options import flag, option_keys

if TYPE_CHECKING:
    from batcher.core.kind import Kind, Option

_METAVARS = {"path": "FILE", "template": "TEXT|FILE", "int": "N", "float": "X"}
_TYPES = {"text": str, "path": str, "template": str, "int": int, "float": float}


def kind_options(kind: Kind) -> list[Setting]:
    """A kind's own options.

    Raises:
        UsageError: one has a name that every job's options have already.
    """
    taken = general_keys()
    for option in kind.options:
        for name in option_keys(option) & taken:
            raise UsageError(f"the kind {kind.name!r} takes --{name}, which every job has")
    settings = []
    for option in kind.options:
        settings.append(_kind_option(kind, option))
        if option.item is not None:
            settings.append(_item_option(kind, option, option.item))
    return settings


def _kind_option(kind: Kind, option: Option) -> Setting:
    declaration = flag(option.name)
    if option.type == "list":
        more: dict[str, Any] = {"type": Record(), "metavar": option.metavar}
    elif option.type == "columns":
        more = {"type": Lines(), "metavar": option.metavar or "COLUMN", "multiple": True}
    elif option.type == "flag":
        if option.default:
            declaration += f"/--no-{declaration[2:]}"
        more = {"is_flag": True, "default": bool(option.default)}
    else:
        metavar = option.metavar or _METAVARS.get(option.type)
        # As text: of an enum, click would take the members' names instead of their values.
        choices = click.Choice([str(choice) for choice in option.choices])
        kind_of_value = choices if option.choices else _TYPES[option.type]
        more = {"type": kind_of_value, "metavar": metavar}
        if option.default is not None:
            more["default_text"] = str(option.default)
    return Setting(
        declaration, option.name, heading=f"Options of {kind.name}", of_kind=True,
        names_file=option.type in ("path", "template"), help=option.help, **more,
    )  # fmt: skip


def _item_option(kind: Kind, option: Option, item: str) -> Setting:
    """The flag that adds one item to a list."""
    return Setting(
        flag(item), item, heading=f"Options of {kind.name}", of_kind=True, item_of=option.name,
        multiple=True, type=Lines(), metavar=item.upper(),
        help=f"One of {flag(option.name)}, as it is (repeatable).",
    )  # fmt: skip
