"""``batcher providers``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from batcher.adapters.system.configuration import read_providers
from batcher.cli.figures import count
from batcher.cli.options.command import command
from batcher.cli.options.shared import env_file_option
from batcher.cli.output import print_json, print_lines, table

if TYPE_CHECKING:
    from batcher.core.job.providers import ProviderConfig

_HEADINGS = ("PROVIDER", "BASE URL", "KEY", "RPM", "TPM", "MODELS", "ROUTES")


@command(
    "providers",
    json="Print the providers as a JSON array.",
    params=[env_file_option()],
    profile=False,
    examples=("batcher providers", "batcher run nightly.toml --provider azure"),
)
def providers(ctx: click.Context, *, as_json: bool) -> None:
    """List the providers that a job can choose by name, with --provider NAME.

    They are the tables [providers.NAME] of batcher.toml in the working directory, and "default",
    which is where OPENAI_BASE_URL says that the API is, or OpenAI. A key is told by the name of its
    variable, and by whether that is set here.
    """
    del ctx
    found = list(read_providers(os.environ).values())
    if as_json:
        print_json([_json(provider) for provider in found])
    else:
        print_lines(table(_HEADINGS, [_row(provider) for provider in found], right="RPM TPM"))


def _row(provider: ProviderConfig) -> list[str]:
    return [
        provider.name,
        provider.base_url,
        provider.api_key_env + ("" if _is_set(provider) else " (not set)"),
        "-" if provider.rpm is None else count(provider.rpm),
        "-" if provider.tpm is None else count(provider.tpm),
        ", ".join(provider.models) or "all",
        ", ".join(provider.routes) or "none",
    ]


def _json(provider: ProviderConfig) -> dict[str, Any]:
    return {**provider.to_json(), "key_is_set": _is_set(provider)}


def _is_set(provider: ProviderConfig) -> bool:
    return bool(os.environ.get(provider.api_key_env))
