"""No output replaces what is not this job's output: refused before anything is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from batcher.core.errors import UsageError
from batcher.simulator import Simulator
from tests.cli.conftest import Cli, Outcome

MODEL = ("--model", "text-embedding-3-small")
EMBED = ("run", "embed", "tickets.csv", "--text", "body", "--id", "id", *MODEL)
KEPT = "somebody's work"


@pytest.fixture
def run(cli: Cli, simulator: Simulator) -> Callable[..., Outcome]:
    """`batcher run` on the tickets, against a provider that counts."""

    def ran(output: str, *more: str, command: tuple[str, ...] = EMBED) -> Outcome:
        return cli(*command, "-o", output, "--base-url", simulator.base_url, *more)

    return ran


def refused(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 2, outcome
    for word in ("error: ", *words):
        assert word in outcome.stderr


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.manifest.json", "out.jsonl.errors.jsonl"])
def test_somebodys_file_is_not_replaced_without_a_word(
    cli: Cli, simulator: Simulator, run: Callable[..., Outcome], name: str
) -> None:
    cli.write(name, KEPT)

    refused(run("out.jsonl"), name, "--overwrite", "name another output")
    assert cli.read(name) == KEPT
    assert simulator.stats.requests == 0
    assert cli("jobs", "--json").json == []

    assert run("elsewhere.jsonl").code == 0
    refused(cli("export", cli.job(), "-o", "out.jsonl"), name, "--overwrite")
    assert cli.read(name) == KEPT

    assert run("out.jsonl", "--overwrite").code == 0
    assert len(cli.read("out.jsonl").splitlines()) == 3
    assert json.loads(cli.read("out.jsonl.manifest.json"))["job"] == cli.job()
    assert name.endswith("errors.jsonl") != (cli.directory / name).exists()
    assert KEPT not in "".join(path.read_text() for path in cli.directory.glob("out.*"))


PROTECTED = [
    "tickets.csv", "./tickets.csv", "folder/../tickets.csv", "soft.csv", "hard.csv",
    "around/tickets.csv", ".batcher/batcher.db", ".batcher/batcher.db-wal",
    ".batcher/batcher.db-shm", ".batcher/batcher.db-journal", ".batcher/batcher.db.locks/x.csv",
    ".batcher/spool/x.csv", "batcher.toml", "job.toml", "prompt.txt",
]  # fmt: skip


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)], ids=["plain", "overwrite"])
@pytest.mark.parametrize("output", PROTECTED)
def test_what_a_job_reads_or_is_kept_in_is_never_replaced(
    cli: Cli, simulator: Simulator, output: str, overwrite: tuple[str, ...]
) -> None:
    here = cli.directory
    for folder in ("folder", ".batcher/spool", ".batcher/batcher.db.locks"):
        (here / folder).mkdir(parents=True)
    (here / "soft.csv").symlink_to("tickets.csv")
    (here / "around").symlink_to(here)
    os.link(here / "tickets.csv", here / "hard.csv")
    cli.write("prompt.txt", "{{ body }}")
    cli.write("batcher.toml", "[defaults]\n")
    cli.write(
        "job.toml",
        'kind = "chat"\ninput = "tickets.csv"\nmodel = "gpt-4o-mini"\nprompt = "prompt.txt"\n'
        f'base_url = "{simulator.base_url}"\n',
    )
    assert cli("run", "job.toml", "-o", "first.csv").code == 0
    sent = simulator.stats.requests
    files = [path for path in here.iterdir() if path.is_file()]
    before = {path: path.read_bytes() for path in files}

    more = ("-o", output, "--output-format", "csv", *overwrite)
    refused(cli("run", "job.toml", "--fresh", *more), "name another output")
    if output != "job.toml" or not overwrite:  # an export does not know what file a job was in
        refused(cli("export", cli.job(), *more), "name another output")
    assert simulator.stats.requests == sent
    assert {path: path.read_bytes() for path in files} == before
    assert len(cli("jobs", "--json").json) == 1


def test_what_is_protected_is_so_from_python(cli: Cli) -> None:
    from batcher import JobSpec, run

    spec = JobSpec(
        kind="embed", input="tickets.csv", model=MODEL[1], options={"text": "body"}, simulate=True
    )
    cli.write("out.jsonl", KEPT)
    for output, overwrite in (("tickets.csv", True), ("out.jsonl", False)):
        with pytest.raises(UsageError, match="name another output"):
            run(spec, output=output, overwrite=overwrite)
    assert cli.read("out.jsonl") == KEPT
    assert run(spec, output="out.jsonl", overwrite=True).rows_done == 3


def test_an_input_that_is_named_like_an_unfinished_output_is_not_removed(
    cli: Cli, run: Callable[..., Outcome]
) -> None:
    cli.write("out.csv.part-7-0123abcd", cli.read("tickets.csv"))
    command = tuple("out.csv.part-7-0123abcd" if word == "tickets.csv" else word for word in EMBED)

    refused(run("out.csv", "--format", "csv", command=command), "name another output")
    assert cli.read("out.csv.part-7-0123abcd") == cli.read("tickets.csv")


def test_the_same_command_replaces_what_it_wrote(cli: Cli, run: Callable[..., Outcome]) -> None:
    assert run("out.jsonl").code == 0
    assert run("out.jsonl").code == 0
    assert run("out.jsonl", "--fresh").code == 0
    assert cli("export", cli.job(), "-o", "out.jsonl").code == 0
    cli.write("tickets.csv", cli.read("tickets.csv") + "a4,More,One more\n")
    assert run("out.jsonl", "--concurrency", "3").code == 0
    assert len(cli.read("out.jsonl").splitlines()) == 4

    cli.write("out.jsonl", "spoilt")  # the manifest beside it still vouches for it
    assert cli("export", cli.job(), "-o", "out.jsonl").code == 0
    assert len(cli.read("out.jsonl").splitlines()) == 4


def test_another_command_does_not(
    cli: Cli, simulator: Simulator, run: Callable[..., Outcome]
) -> None:
    assert run("out.jsonl").code == 0
    first, written, sent = cli.job(), cli.read("out.jsonl"), simulator.stats.requests

    refused(run("out.jsonl", "--dimensions", "256"), "out.jsonl already exists", first)
    refused(run("out.jsonl", "--limit", "2"), first)
    assert (cli.read("out.jsonl"), simulator.stats.requests) == (written, sent)
    assert [job["job"] for job in cli("jobs", "--json").json] == [first]
    assert run("out.jsonl", "--limit", "2", "--overwrite").code == 0
    refused(cli("export", first, "-o", "out.jsonl"), cli.job())
    refused(run("out.jsonl"), cli.job())


def test_runs_of_one_name_replace_each_others_output(cli: Cli, run: Callable[..., Outcome]) -> None:
    nightly = ("--name", "nightly", "--since-last")
    assert run("out.parquet", *nightly).code == 0
    cli.write("tickets.csv", cli.read("tickets.csv") + "a4,More,One more\n")
    assert run("out.parquet", *nightly, "--dimensions", "8").code == 0
    assert cli("db", "purge", "--older-than", "0s").code == 0
    cli.write("tickets.csv", cli.read("tickets.csv") + "a5,More,One more\n")
    assert run("out.parquet", *nightly).code == 0
    refused(run("out.parquet", "--name", "daily"), "out.parquet")


@pytest.mark.parametrize("killed_after", ["errors", "output"])
def test_what_a_killed_delivery_left_is_its_own(
    cli: Cli, run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, killed_after: str
) -> None:
    from batcher.adapters.destinations.target import FileTarget

    class Killed(BaseException):
        pass

    commit = FileTarget.commit
    cli.write("tickets.csv", cli.read("tickets.csv") + "a4,,\n")  # a row that fails

    def die(target: FileTarget) -> None:
        last = f"{target.name}".endswith("errors.jsonl") == (killed_after == "errors")
        commit(target)
        if last:
            os._exit(9)

    if (child := os.fork()) == 0:
        monkeypatch.setattr(FileTarget, "commit", die)
        run("out.jsonl")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not (cli.directory / "out.jsonl.manifest.json").exists()

    assert run("out.jsonl").code == 3
    assert len(cli.read("out.jsonl").splitlines()) == 3
    assert sorted(path.name for path in cli.directory.glob("out.*")) == [
        "out.jsonl", "out.jsonl.errors.jsonl", "out.jsonl.manifest.json",
    ]  # fmt: skip


def test_a_file_that_appears_while_a_job_runs_is_not_replaced(
    cli: Cli, run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    from batcher.engine.delivery import files as delivery
    from batcher.engine.delivery.exporter import export

    async def slow(*arguments: object, **named: object) -> int:
        cli.write("out.jsonl", KEPT)
        return await export(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(delivery, "export", slow)
    refused(run("out.jsonl"), "out.jsonl", "The results are kept", f"batcher export {cli.job()}")
    assert cli.read("out.jsonl") == KEPT
    assert [path.name for path in cli.directory.glob("out.*")] == ["out.jsonl"]
    monkeypatch.setattr(delivery, "export", export)
    assert cli("export", cli.job(), "-o", "other.jsonl").code == 0


def test_a_link_is_written_through_and_guarded_like_what_it_leads_to(
    cli: Cli, run: Callable[..., Outcome]
) -> None:
    (cli.directory / "out.jsonl").symlink_to("real.jsonl")
    assert run("out.jsonl").code == 0
    assert len(cli.read("real.jsonl").splitlines()) == 3
    cli.write("precious.txt", KEPT)
    (cli.directory / "other.jsonl").symlink_to("precious.txt")
    refused(run("other.jsonl"), "other.jsonl", "--overwrite")
    assert cli.read("precious.txt") == KEPT


def test_devices_and_pipes_are_written_to_and_nothing_beside_them(
    cli: Cli, run: Callable[..., Outcome]
) -> None:
    assert run("/dev/null", "--output-format", "jsonl").code == 0
    assert not Path("/dev/null.manifest.json").exists()
    assert not Path("/dev/null.errors.jsonl").exists()
    pipe = cli.directory / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert run("pipe", "--output-format", "jsonl", "--dimensions", "4").code == 0
    assert os.read(reader, 1 << 20).count(b"\n") == 3
    os.close(reader)
    refused(run(".", "--output-format", "jsonl"), "is a directory")


def test_what_is_no_file_beside_an_output_is_refused_before_anything_is_sent(
    cli: Cli, simulator: Simulator, run: Callable[..., Outcome]
) -> None:
    (cli.directory / "out.jsonl.manifest.json").mkdir()
    refused(run("out.jsonl", "--overwrite"), "out.jsonl.manifest.json is not a file")
    assert simulator.stats.requests == 0


def test_an_output_that_leads_nowhere_is_refused_before_anything_is_sent(
    cli: Cli, run: Callable[..., Outcome]
) -> None:
    (cli.directory / "loop.jsonl").symlink_to("loop.jsonl")
    for path in ("loop.jsonl", f"{'y' * 300}.jsonl", "tickets.csv/o.jsonl", ""):
        ran = run("-o", path)
        assert ran.code == 2, path
        assert ran.stderr.count("error: ") == 1
        assert "unforeseen" not in ran.stderr
    assert cli("jobs", "--json").json == []
