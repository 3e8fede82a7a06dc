"""``batcher preview``: what it prints, and what it leaves behind."""

from __future__ import annotations

from tests.cli.conftest import Cli

CHAT = ["preview", "chat", "tickets.csv", "--id", "id", "--model", "gpt-4o-mini", "--simulate",
        "--prompt", "Of {{ title }}", "--max-tokens", "5"]  # fmt: skip


def test_each_request_is_shown_with_its_rows_and_tokens(cli: Cli) -> None:
    ran = cli(*CHAT, "-n", "2")
    assert ran.code == 0, ran.stderr
    assert ran.stdout.startswith("request 1 of 2: row 0 (a1); ")
    assert "POST /chat/completions at a simulated provider\n" in ran.stdout
    assert '"content": "Of Twice"' in ran.stdout
    assert "Of Blank" not in ran.stdout
    assert ran.stdout.rstrip().endswith("--send sends these rows, and shows the answers and what "
                                        "they cost.")  # fmt: skip


def test_answers_and_their_cost_are_shown_and_nothing_is_kept(cli: Cli) -> None:
    ran = cli(*CHAT, "--send")
    assert ran.code == 0, ran.stderr
    assert ran.stdout.count("answer for row ") == 3
    assert "3 requests sent: $0.0000" in ran.stdout
    assert [path.name for path in cli.directory.iterdir()] == ["tickets.csv"]


def test_json_has_bodies_answers_and_cost(cli: Cli) -> None:
    dry = cli(*CHAT, "--json").json
    assert [request["rows"] for request in dry["requests"]] == [[0], [1], [2]]
    assert dry["requests"][0]["ids"] == ["a1"]
    assert dry["requests"][0]["body"]["messages"][0]["content"] == "Of Late"
    assert "results" not in dry
    sent = cli(*CHAT, "--json", "--send").json
    assert sent["requests"] == dry["requests"]
    assert [result["id"] for result in sent["results"]] == ["a1", "a2", "a3"]
    assert sent["cost_usd"] > 0


def test_sending_needs_a_key_and_showing_does_not(cli: Cli) -> None:
    real = [*CHAT[:7], *CHAT[8:], "--api-key-env", "NO_SUCH_KEY"]
    assert cli(*real).code == 0
    ran = cli(*real, "--send")
    assert ran.code == 2
    assert "NO_SUCH_KEY" in ran.stderr


def test_rows_that_would_not_be_sent_are_named(cli: Cli) -> None:
    cli.write("tickets.csv", "id,title\na1,\na2,Twice\n")
    ran = cli("preview", "embed", "tickets.csv", "--text", "title", "--model", "m", "--simulate")
    assert "row 0 is not sent: empty_input: the row's text is empty" in ran.stdout
