"""Slips of the first ten minutes: what is said of them names the way out, and nothing is left."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from batcher.core.job.urls import unreached
from batcher.simulator import SimulatorConfig
from tests.cli.jobs.test_run import EMBED
from tests.cli.provider import provider
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

CHAT = ("run", "chat", "tickets.csv", "--text", "body", "-m", "gpt-6-luna")


# --- nothing listens ------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_named_while_it_is_waited_for_and_at_the_end(
    cli: Cli,
) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    ran = cli(*EMBED, "--base-url", url, "--outage-timeout", "1")
    meanwhile, _, end = ran.stderr.partition("\njob ")

    assert ran.code == 5
    for said in (meanwhile, end):
        assert f"nothing answers at {url} (Connection refused): start the server there" in said
        assert "or set --base-url to where it is" in said
    assert meanwhile.count("start the server there") == 1
    assert "3 left, of 3" in end


def test_a_server_that_starts_late_is_waited_for_and_no_longer_missed(cli: Cli) -> None:
    port = free_port()
    with provider() as late:
        began = threading.Thread(
            target=_forward, args=(port, late.base_url), daemon=True, name="late server"
        )
        began.start()
        ran = cli(*EMBED, "--base-url", f"http://127.0.0.1:{port}/v1", "--outage-timeout", "60")

    assert ran.code == 0, ran.stderr
    assert "nothing answers at" in ran.stderr
    assert "nothing answers" not in ran.stderr.splitlines()[-1]
    assert "all 3 done" in ran.stderr


def _forward(port: int, base_url: str) -> None:
    """After a second, listen on a port and pass on what comes."""
    import asyncio

    time.sleep(1.0)
    host, _, there = base_url.removeprefix("http://").removesuffix("/v1").partition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while block := await reader.read(1 << 16):
            writer.write(block)
            await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection(host, int(there))
        await asyncio.gather(pump(reader, before), pump(behind, writer))

    async def serve() -> None:
        server = await asyncio.start_server(accept, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(serve())


def test_a_server_that_only_fails_is_named_at_the_end(cli: Cli) -> None:
    with provider(SimulatorConfig(outage="503")) as simulator:
        ran = cli(*EMBED, "--base-url", simulator.base_url, "--outage-timeout", "1")

    assert ran.code == 5
    assert f"in this run nothing has succeeded at {simulator.base_url}" in ran.stderr


@pytest.mark.parametrize(
    ("url", "provider", "what"),
    [
        ("http://localhost:8000/v1", None, "start the server there, or set --base-url"),
        ("https://api.example.com/v1?sig=x", None, "this machine is online, or set --base-url"),
        (
            "http://[::1]:8/v1",
            "mine",
            "server there, or set base_url of [providers.mine]",
        ),
    ],
)
def test_what_to_do_depends_on_where_it_should_be(
    url: str, provider: str | None, what: str
) -> None:
    said = unreached(url, "why", provider=provider)
    assert what in said
    assert "sig=x" not in said


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        ("--txt", "no option --txt (did you mean --text?)"),
        ("--outptu", "no option --outptu (did you mean --output?)"),
        ("--RPM", "no option --RPM (did you mean --rpm?)"),
        ("--column", "no option --column (did you mean --text?)"),
        ("--api-base", "no option --api-base (did you mean --base-url?)"),
        ("--max_cost", "no option --max_cost (did you mean --max-cost?)"),
        ("--temperature", "a parameter of the requests is --param temperature=VALUE"),
        ("--zzzz", "no option --zzzz\n"),
    ],
)
def test_a_flag_that_is_none_is_told_with_what_was_meant_model_or_not(
    cli: Cli, slip: str, said: str
) -> None:
    for command in (CHAT, CHAT[:-2]):
        ran = cli(*command, slip, "0")
        assert ran.code == 2
        assert said in ran.stderr


def test_a_setting_of_a_file_that_is_none_is_told_with_what_was_meant(cli: Cli) -> None:
    for line, said in (
        ("labls = ['a']", "(did you mean 'labels'?)"),
        ("categories = ['a']", "(did you mean 'labels'?)"),
        ("temperature = 0", "a parameter of the requests belongs to a table [param]"),
    ):
        cli.write("job.toml", f'kind = "classify"\ninput = "tickets.csv"\n{line}\n')
        assert said in cli("run", "job.toml").stderr


def test_a_number_that_no_server_can_read_is_refused_before_anything_is_sent(cli: Cli) -> None:
    for value in ("1e400", "-1e400", '{"a": [1e999]}'):
        ran = cli(*CHAT, "--simulate", "--param", f"x={value}")
        assert (ran.code, ran.stdout) == (2, "")
        assert "--param x holds a number that is too large" in ran.stderr
    for value in ("1e308", "-0.5", "12345678901234567890", "text"):
        assert cli(*CHAT, "--simulate", "--param", f"x={value}").code == 0


def test_words_in_the_wrong_place_are_told(cli: Cli) -> None:
    for command, said in (
        (("chat", "tickets.csv"), "error: no command 'chat': write batcher run chat INPUT …\n"),
        (("run", "tickets.csv"), "batcher run KIND tickets.csv, where KIND is one of chat, "),
        (("run", "chatt", "tickets.csv"), "no kind 'chatt' (did you mean 'chat'?)"),
        (("run", "chat", "table.xlsx", *CHAT[3:]), "a spreadsheet cannot be read: save it as CSV"),
    ):
        ran = cli(*command)
        assert ran.code == 2
        assert said in ran.stderr


# --- what never began -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        (*CHAT,),  # there is no key
        (*CHAT[:-4], "--text", "bdy", "-m", "m", "--simulate"),
        ("run", "chat", "nothing.csv", *CHAT[3:], "--simulate"),
        ("run", "chat", "-", *CHAT[3:], "--simulate"),
        (*CHAT, "--simulate", "-o", "nowhere/out.csv"),
        (*CHAT, "--simulate", "-o", "tickets.csv"),
        (*CHAT, "--simulate", "--since-last", "--name", "x", "--param", "messages=1"),
        ("estimate", *CHAT[1:]),
        ("preview", *CHAT[1:]),
        ("jobs",),
        ("status",),
    ],
    ids=lambda command: " ".join(command)[:60],
)
def test_what_never_began_leaves_nothing_behind(
    cli: Cli, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    before = sorted(Path().iterdir())
    cli(*command, stdin="")
    assert sorted(Path().iterdir()) == before


def test_what_began_is_there_even_if_it_stopped(cli: Cli) -> None:
    async def refuse(request: web.Request) -> web.Response:
        del request
        return web.json_response({"error": {"message": "no"}}, status=401)

    from tests.cli.serving import serving

    with serving(refuse) as url:
        assert cli(*CHAT, "--base-url", url).code == 2
    assert cli("jobs", "--json").json[0]["status"] == "paused"


def test_a_directory_is_no_input(cli: Cli) -> None:
    Path("folder").mkdir()
    ran = cli("run", "chat", "folder", *CHAT[3:], "--simulate")
    assert (ran.code, ran.stderr) == (2, "error: folder: is a directory: name a file in it\n")


def test_a_directory_that_workers_will_miss_is_told_before_anything_is_planned(cli: Cli) -> None:
    ran = cli("submit", *CHAT[1:], "-o", "nowhere/out.csv")
    assert ran.code == 0
    assert ran.stderr.startswith("note: nowhere/out.csv: there is no directory ")
    for there in ("out.csv", "{date}/out.csv"):
        assert "note:" not in cli("submit", *CHAT[1:], "-o", there).stderr


def test_a_schedule_that_nobody_runs_is_told_so(cli: Cli) -> None:
    path = Path("job.toml")
    path.write_text(
        'kind = "chat"\ninput = "tickets.csv"\ntext = "body"\nmodel = "m"\nsimulate = true\n'
    )
    for command in (("add", "0 3 * * *", str(path), "--name", "nightly"), ("run", "nightly")):
        ran = cli("schedule", *command)
        assert ran.code == 0, ran.stderr
        assert "no worker is alive: it will not be run until `batcher worker` is" in ran.stderr
