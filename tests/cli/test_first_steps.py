"""What the first ten minutes meet: help that shows the common options, and a base URL's end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from batcher.core.job.urls import with_version
from tests.cli.jobs.test_run import EMBED
from tests.cli.serving import serving

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

MOST_NEEDED = ["--output", "--model", "--limit", "--base-url", "--simulate", "--max-cost"]


def options_of(text: str) -> list[str]:
    """The long options of a help text, in its order."""
    words = [word.strip("[],") for word in text.split() if word.startswith("--")]
    return list(dict.fromkeys(words))


@pytest.mark.parametrize("command", ["run", "estimate"])
def test_the_help_of_all_kinds_shows_the_kinds_and_the_common_options(
    cli: Cli, command: str
) -> None:
    shown = cli(command, "--help").stdout
    kinds, common = shown.index("Kinds:"), shown.index("Common options:")
    assert kinds < shown.index("  classify ") < common < shown.index("--model NAME")
    assert f"batcher {command} KIND --help" in shown[common:]
    if command == "run":
        assert [name for name in MOST_NEEDED if name in options_of(shown[common:])] == MOST_NEEDED
    else:
        assert "--output" not in shown  # it writes none


@pytest.mark.parametrize("kind", ["embed", "classify", "chat"])
def test_a_kinds_help_begins_with_what_is_needed_most(cli: Cli, kind: str) -> None:
    shown = cli("run", kind, "--help").stdout
    own, common, rest = (
        shown.index(heading) for heading in (f"Options of {kind}:", "Common options:", "Input:")
    )
    assert own < common < rest
    assert [name for name in options_of(shown[common:rest]) if name in MOST_NEEDED] == MOST_NEEDED
    assert shown.count("-m, --model NAME") == 1


def test_short_flags(cli: Cli) -> None:
    ran = cli(*EMBED[:-2], "-m", EMBED[-1], "-n", "2", "-q", "--simulate", "--json")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.json["rows"]["total"] == 2


@pytest.mark.parametrize(
    ("url", "better"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        ("https://gateway.example.com/openai", "https://gateway.example.com/openai/v1"),
        ("http://localhost:8000/v1", None),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", None),
        ("https://api.example.com/api/v3", None),
    ],
)
def test_a_base_url_without_a_version_gets_one(url: str, better: str | None) -> None:
    assert with_version(url) == better


@pytest.mark.parametrize("status", [404, 405])
def test_a_base_url_that_lacks_its_end_is_told_so(cli: Cli, status: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        del request
        return web.json_response({"detail": "Not Found"}, status=status)

    with serving(answer) as url:
        bare = url.removesuffix("/v1")
        ran = cli(*EMBED, "--base-url", bare)
        whole = cli(*EMBED, "--base-url", url)

    assert (ran.code, whole.code) == (2, 2)
    hint = f"  --base-url {url}"
    assert hint in ran.stderr.splitlines()
    assert hint not in whole.stderr.splitlines()
    assert hint not in cli("status").stdout.splitlines()
