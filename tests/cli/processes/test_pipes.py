"""Pipes and files as people have them, through the whole command line."""

from __future__ import annotations

import json

from tests.cli.conftest import Cli

EMBED = ["--model", "text-embedding-3-small", "--simulate", "--quiet"]


def test_pipes_are_jsonl_in_and_out(cli: Cli) -> None:
    stdin = '{"id": 1, "body": "late"}\n{"id": 2, "body": "twice"}\n'
    ran = cli("run", "embed", "-", "--text", "body", "--id", "id", "-o", "-", *EMBED, stdin=stdin)
    assert ran.code == 0, ran.stderr
    assert [record["id"] for record in ran.lines] == [1, 2]


def test_what_is_said_of_a_pipe_holds(cli: Cli) -> None:
    said = ["--format", "csv", "--output-format", "csv", "--no-keep-input"]
    ran = cli("run", "embed", "-", "--text", "body", "-o", "-", *said, *EMBED, stdin="body\nlate\n")
    assert ran.code == 0, ran.stderr
    assert ran.stdout.startswith("id,row,embedding\n")


def test_what_was_guessed_is_told_before_anything_is_sent(cli: Cli) -> None:
    (cli.directory / "export.csv").write_bytes("id;body\n1;schön\n2;Größe\n".encode("cp1252"))
    ran = cli("run", "embed", "export.csv", "--text", "body", *EMBED[:3], "-o", "out.csv")
    assert ran.code == 0, ran.stderr
    assert "note: export.csv is not UTF-8 and is read as Windows-1252 (cp1252)" in ran.stderr
    assert "note: export.csv has fields separated by ';'; --delimiter gives another" in ran.stderr
    assert "schön" in cli.read("out.csv")
    said = ["--encoding", "cp1252", "--delimiter", ";"]
    told = cli("estimate", "embed", "export.csv", "--text", "body", *said, *EMBED[:3])
    assert told.stderr == ""


def test_an_array_and_a_tsv_file_are_inputs(cli: Cli) -> None:
    cli.write("rows.json", json.dumps([{"body": "late"}, {"body": "twice"}], indent=2))
    cli.write("rows.tsv", "id\tbody\n1\tlate\n")
    for name, rows in (("rows.json", 2), ("rows.tsv", 1)):
        ran = cli("run", "embed", name, "--text", "body", *EMBED, "--json")
        assert ran.code == 0, ran.stderr
        assert ran.json["rows"]["done"] == rows
