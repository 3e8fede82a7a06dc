"""Every command on a Postgres, as a user types it; no stream ever shows the password."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from batcher.adapters.store import migrate
from batcher.simulator import Simulator, SimulatorConfig
from tests.cli.conftest import Cli, Outcome
from tests.cli.processes.test_processes import start
from tests.cli.provider import provider
from tests.servers.postgres import PASSWORD, PostgresServer
from tests.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.process

ROWS = 120


@pytest.fixture
def url(postgres: PostgresServer, database: str) -> str:
    return postgres.url(database)


class OnPostgres:
    """Commands told of a database, whose streams are searched for its password."""

    def __init__(self, cli: Cli, url: str) -> None:
        self._cli = cli
        self._url = url

    def __call__(self, *arguments: str) -> Outcome:
        outcome = self._cli(*arguments, "--db", self._url)
        assert PASSWORD not in outcome.stdout + outcome.stderr
        return outcome


@pytest.fixture
def on_postgres(cli: Cli, url: str) -> OnPostgres:
    return OnPostgres(cli, url)


@pytest.fixture
def faulty() -> Iterator[Simulator]:
    """A provider that refuses what asks for it."""
    with provider() as simulator:
        yield simulator


def run_arguments(simulator: Simulator, *more: str) -> list[str]:
    return [
        "run", "classify", "tickets.csv", "-o", "out.jsonl", "--id", "id", "--text", "body",
        "--labels", "a,b", "--model", "gpt-4.1-mini", "--base-url", simulator.base_url, *more,
    ]  # fmt: skip


def test_every_command_works_on_a_postgres(
    on_postgres: OnPostgres, cli: Cli, faulty: Simulator
) -> None:
    cli.write("tickets.csv", "id,body\na1,one\na2,two [[fault=400]]\na3,three\n")

    refused = on_postgres(*run_arguments(faulty))
    assert refused.code == 2
    assert "run `batcher db upgrade` with the same --db once" in refused.stderr
    assert faulty.stats.requests == 0

    upgraded = on_postgres("db", "upgrade", "--json")
    assert (upgraded.json["before"], upgraded.json["after"]) == (None, migrate.head())
    assert upgraded.json["database"].startswith("postgresql://batcher@127.0.0.1:")
    assert "is up to date" in on_postgres("db", "upgrade").stderr
    assert "no jobs in postgresql://batcher@" in on_postgres("jobs").stderr

    first = on_postgres(*run_arguments(faulty, "--json"))
    assert first.code == 3, first.stderr
    job = first.json["job"]
    assert [record(line)["id"] for line in cli.read("out.jsonl").splitlines()] == ["a1", "a3"]

    assert [each["job"] for each in on_postgres("jobs", "--json").json] == [job]
    assert on_postgres("status", job, "--json").json["rows"]["failed"] == 1
    assert [line["id"] for line in on_postgres("errors", job, "--json").lines] == ["a2"]
    exported = on_postgres("export", job, "-o", "again.csv")
    assert (exported.code, "left out: 1 failed" in exported.stderr) == (0, True)
    assert cli.read("again.csv").splitlines()[0] == "id,body,label"

    assert on_postgres("retry", job, "--json").code == 0
    assert on_postgres("status", job, "--json").json["status"] == "open"
    again = on_postgres(*run_arguments(faulty, "--json"))
    assert (again.code, again.json["job"]) == (3, job)

    fresh = on_postgres(*run_arguments(faulty, "--fresh", "--json", "--limit", "1", "--overwrite"))
    other = fresh.json["job"]
    assert (fresh.code, other != job) == (0, True)
    assert on_postgres("retry", other).code == 0
    assert on_postgres("cancel", job).code in (0, 2)
    gone = on_postgres("db", "purge", "--older-than", "0s", "--json").json["purged"]
    assert set(gone) >= {other}
    assert not (cli.directory / ".batcher" / "batcher.db").exists()


def record(line: str) -> dict[str, object]:
    loaded: dict[str, object] = json.loads(line)
    return loaded


def test_the_environment_names_a_postgres(
    cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHER_DATABASE_URL", url.replace("postgresql://", "postgres://"))
    assert cli("db", "upgrade").code == 0
    jobs = cli("jobs", "--json")
    assert (jobs.code, jobs.json) == (0, [])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda url: url.replace(PASSWORD, f"{PASSWORD}x"),
        lambda url: f"{url}x",
        lambda url: url.replace("postgresql:", "postgresql+asyncpg:"),
        lambda url: url.replace("@", "@@"),
    ],
    ids=["password", "database", "driver", "url"],
)
def test_a_postgres_that_cannot_be_used_is_wrong_use(
    cli: Cli, url: str, wrong: Callable[[str], str]
) -> None:
    refused = cli("jobs", "--db", wrong(url))
    assert refused.code == 2
    assert refused.stdout == ""
    assert "--db" in refused.stderr
    assert PASSWORD not in refused.stderr


def test_an_interrupted_run_says_how_to_go_on_without_the_password(cli: Cli, url: str) -> None:
    migrate.upgrade(url)
    write_rows(cli.directory)
    with provider(SimulatorConfig(latency_ms=300)) as simulator:
        running = start(cli.directory, *run_arguments(simulator, "--db", url))
        wait_until(lambda: simulator.stats.in_flight > 0, "requests in flight")
        running.send_signal(signal.SIGINT)
        _, stderr = running.communicate(timeout=PATIENCE_SECONDS)
    assert running.returncode == 130
    said = stderr.decode()
    assert "batcher run classify tickets.csv" in said
    assert "postgresql://batcher:***@127.0.0.1" in said
    assert PASSWORD not in said


def test_a_killed_run_is_resumed_at_once_and_a_second_one_refuses(
    cli: Cli, url: str, postgres: PostgresServer, database: str
) -> None:
    migrate.upgrade(url)
    write_rows(cli.directory)
    with provider(SimulatorConfig(latency_ms=2_000)) as simulator:
        arguments = run_arguments(simulator, "--concurrency", "8", "--db", url)
        first = start(cli.directory, *arguments)
        wait_until(lambda: simulator.stats.inputs_served > 4, "some answers")
        second = start(cli.directory, *arguments)
        _, stderr = second.communicate(timeout=PATIENCE_SECONDS)
        assert second.returncode == 2
        assert f":{first.pid}: wait for it, or end it first" in stderr.decode()
        first.kill()
        first.communicate()
        with closing(postgres.connect(database)) as connection:  # its leases outlast any test
            held = connection.execute("UPDATE shard SET expires_at = expires_at + 86400")
            assert held.rowcount > 0
        simulator.configure(latency_ms=0)
        third = start(cli.directory, *arguments, "--json")
        stdout, stderr = third.communicate(timeout=PATIENCE_SECONDS)
        assert third.returncode == 0, stderr.decode()
        report = record(stdout.decode())
        served_twice = simulator.stats.inputs_served_twice
    lines = [record(line) for line in (cli.directory / "out.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [f"a{n}" for n in range(ROWS)]
    admitted = report["billed_twice_at_most"]
    assert isinstance(admitted, dict)
    assert served_twice <= admitted["requests"] <= 40


def write_rows(directory: Path) -> None:
    rows = "".join(f"a{n},text number {n}\n" for n in range(ROWS))
    (directory / "tickets.csv").write_text(f"id,body\n{rows}")


def test_a_run_goes_on_when_the_server_is_restarted(
    cli: Cli, url: str, postgres: PostgresServer
) -> None:
    migrate.upgrade(url)
    write_rows(cli.directory)
    with provider(SimulatorConfig(latency_ms=150)) as simulator:
        running = start(cli.directory, *run_arguments(simulator, "--concurrency", "4", "--db", url))
        wait_until(lambda: simulator.stats.inputs_served > 8, "some answers")
        postgres.kill()
        postgres.start()
        _, stderr = running.communicate(timeout=PATIENCE_SECONDS)
        assert running.returncode == 0, stderr.decode()
        assert simulator.stats.inputs_served_twice == 0
    assert len((cli.directory / "out.jsonl").read_text().splitlines()) == ROWS


def test_a_run_whose_server_stays_away_ends_and_the_next_one_goes_on(
    cli: Cli, url: str, postgres: PostgresServer
) -> None:
    migrate.upgrade(url)
    write_rows(cli.directory)
    with provider(SimulatorConfig(latency_ms=150)) as simulator:
        arguments = run_arguments(simulator, "--concurrency", "4", "--db", url)
        running = start(cli.directory, *arguments, "--db-timeout", "0.2")
        wait_until(lambda: simulator.stats.inputs_served > 8, "some answers")
        postgres.stop()
        try:
            _, stderr = running.communicate(timeout=PATIENCE_SECONDS)
        finally:
            postgres.start()
        assert running.returncode == 1
        said = stderr.decode()
        assert "error: database postgresql://batcher@127.0.0.1" in said
        assert "the server is away" in said
        assert PASSWORD not in said
        again = start(cli.directory, *arguments)
        _, stderr = again.communicate(timeout=PATIENCE_SECONDS)
        assert again.returncode == 0, stderr.decode()
    assert len((cli.directory / "out.jsonl").read_text().splitlines()) == ROWS


def test_without_the_driver_it_is_said_how_to_come_by_it(cli: Cli, url: str) -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from batcher.cli import main\n"
        "sys.argv = ['batcher', 'jobs', '--db', sys.argv[1]]\n"
        "sys.exit(main())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, url], cwd=cli.directory, capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert "pip install 'psycopg[binary]'" in ran.stderr
    assert PASSWORD not in ran.stderr
