"""No id, message, code, column or name can move the cursor, forge a line or be read as markup."""

from __future__ import annotations

import json
import shlex
import subprocess
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO

import pytest
from aiohttp import web
from rich.console import Console

from batcher.adapters.observability.event_log import EventLog
from batcher.cli.commands.jobs.errors import describe
from batcher.cli.failure import report_failure
from batcher.cli.options.typed import shell_line
from batcher.cli.output import print_json, table
from batcher.cli.screen.live_view import LiveScreen
from batcher.cli.screen.screens import PlainScreen
from batcher.core.errors import UsageError
from batcher.core.model import DeadLetter
from batcher.ports import Event, Level
from tests.cli.conftest import Cli
from tests.cli.screen.test_progress import a_reading
from tests.cli.serving import serving

EVIL = "x\x1b[2J\x1b]8;;http://evil/\x07y\x9b31m\rerror: forged\nforged\u202e\u2028\u200b\x7f"
MARKUP = "[bold red]m[/] [link=http://evil/]l[/link] :bomb:"
PLAIN = "é 日本"
DANGEROUS = {"Cc", "Cf", "Zl", "Zp", "Cs"}


def assert_inert(*streams: str) -> None:
    for stream in streams:
        for line in stream.split("\n"):
            odd = [c for c in line if unicodedata.category(c) in DANGEROUS]
            assert not odd, line
            assert not line.startswith(("forged", "error: forged"))


@pytest.fixture
def refusing() -> Iterator[str]:
    """A provider that refuses every row after the first, in evil words."""

    async def answer(request: web.Request) -> web.Response:
        if "good" in await request.text():
            message = {"role": "assistant", "content": "fine"}
            return web.json_response(
                {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {}}
            )
        error = {"message": f"no {EVIL} {MARKUP} {PLAIN}", "code": EVIL, "type": MARKUP}
        return web.json_response({"error": error}, status=400)

    with serving(answer) as url:
        yield url


def test_no_command_prints_what_is_not_inert(
    cli: Cli, refusing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    column, name = f"c{EVIL}", f"job\u202e{MARKUP} {PLAIN}"
    rows = [{"id": EVIL, column: "bad", "t": "bad"}, {"id": f"{PLAIN}{MARKUP}", "t": "bad too"}]
    source = "in\x1b[31m\n\u202e.jsonl"
    cli.write(source, "".join(json.dumps(row) + "\n" for row in [{"id": "1", "t": "good"}, *rows]))
    cli.write("p.txt", "{{ t }}")
    output = "out\x1b]0;x\x07.jsonl"
    chat = ("run", "chat", source, "--prompt", "p.txt", "--model", f"m{EVIL}", "--id", "id")
    told = [
        cli(*chat, "--base-url", refusing, "--tokenizer", "o200k_base", "--name", name,
            "-o", output, "--concurrency", "1"),
    ]  # fmt: skip
    assert told[0].code == 3, told[0]
    job = cli.job()
    told += [
        cli("errors", job), cli("errors", job, "--json"), cli("status", job),
        cli("status", job, "--json"), cli("jobs"), cli("jobs", "--json"), cli("watch", job),
        cli("export", job, "-o", output), cli("export", job, "-o", f"no{EVIL}/out.csv"),
        cli("retry", job), cli("retry", job, "--json"), cli("cancel", job),
        cli("estimate", *chat[1:], "--tokenizer", "o200k_base"),
        cli("status", EVIL), cli("run", EVIL, "x"), cli("run", f"{EVIL}.toml"), cli(EVIL),
        cli("run", "chat", "nothing" + EVIL, "--prompt", EVIL, "--model", "m"),
        cli("jobs", "--limit", EVIL), cli("jobs", "--db", f"http://{EVIL}"), cli("jobs", EVIL),
    ]  # fmt: skip
    cli.write("job.toml", f'kind = "chat"\ninput = "{PLAIN}"\nmodel = "m"\nprompt = "p.txt"\n')
    told += [
        cli("schedule", "add", "0 3 * * *", "job.toml", "--name", name),
        cli("schedule", "list"), cli("schedule", "list", "--json"),
        cli("schedule", "pause", name), cli("schedule", "run", EVIL),
        cli("schedule", "remove", name), cli("schedule", "add", EVIL, "job.toml"),
        cli("schedule", "add", "0 3 * * *", "job.toml", "--timezone", EVIL),
    ]  # fmt: skip
    for outcome in told:
        assert_inert(outcome.stdout, outcome.stderr)
        assert "unforeseen" not in outcome.stderr
    errors = told[1].stdout
    assert len(errors.splitlines()) == 2
    assert PLAIN in errors
    assert MARKUP in errors
    assert "\\x1b[2J" in errors
    assert [json.loads(line)["id"] for line in told[2].stdout.splitlines()] == [
        EVIL, f"{PLAIN}{MARKUP}",
    ]  # fmt: skip


def test_a_table_is_aligned_by_what_is_shown() -> None:
    lines = table(("NAME", "STATE"), [[EVIL, "on"], [PLAIN, "off"]])

    assert_inert(*lines)
    assert {line.index(word) for line, word in zip(lines, ("STATE", "on", "off"), strict=True)} == {
        lines[0].index("STATE")
    } or lines[1].endswith("  on")


def test_a_dead_letter_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    letter = DeadLetter(row=1, chunk=0, id=EVIL, code=EVIL, message=EVIL, attempts=1)
    from batcher.cli.output import print_lines

    print_lines([describe(letter)])
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert_inert(shown)


def test_errors_are_inert_whatever_they_quote(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHER_DEBUG", "1")
    for error in (UsageError(EVIL), OSError(2, EVIL, EVIL), ValueError(EVIL)):
        try:
            raise error
        except Exception as raised:
            report_failure(raised)
    assert_inert(capsys.readouterr().err)


def test_screens_are_inert(capsys: pytest.CaptureFixture[str]) -> None:
    evil = a_reading(last_fault=EVIL + MARKUP, retried=3, phase="sending")
    plain = PlainScreen()
    plain.say(EVIL + MARKUP)
    plain.waiting(EVIL, 99.0)
    plain.show(evil)
    assert_inert(capsys.readouterr().err)

    file = StringIO()
    console = Console(file=file, force_terminal=False, width=200)
    live = LiveScreen(console)
    live.say(EVIL + MARKUP)
    live.waiting(EVIL + MARKUP, 9.0)
    live.show(evil)
    live.close()
    assert MARKUP in file.getvalue()
    assert_inert(file.getvalue())


def test_events_are_inert_in_both_forms() -> None:
    for form in ("json", "text"):
        stream = StringIO()
        log = EventLog(Level.DEBUG, form, stream=stream)
        log(Event.LIBRARY_WARNED, library=EVIL, where="a\x9bb\u2028c", error="é日")
        assert stream.getvalue().count("\n") == 1
        assert_inert(stream.getvalue())


def test_json_of_a_name_that_is_not_utf8(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"input": "a\udc80\u2028", "at": str(datetime.now(UTC))})

    assert json.loads(capsys.readouterr().out)["input"] == "a\udc80\u2028"


@pytest.mark.parametrize("word", [EVIL, "plain", "it's", "a\\b'c\n", PLAIN, "$HOME `x` \x1b"])
def test_a_command_line_can_be_copied(word: str) -> None:
    line = shell_line(["printf", "%s", word])

    assert_inert(line)
    printed = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert printed.stdout == word.encode()
    if word.isprintable():
        assert shlex.split(line)[2] == word
