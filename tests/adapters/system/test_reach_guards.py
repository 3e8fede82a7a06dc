"""Where files are opened and URLs fetched: only what the operator of a worker has allowed."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
from aiohttp import web

from batcher.adapters.sources.download import open_url
from batcher.adapters.system.clock import SystemClock
from batcher.adapters.system.reach_guards import check_address, check_path
from batcher.core.errors import InputError, NotAllowed
from batcher.ports import SourceRequest

ROWS = "id,body\n1,a\n"


# --- URLs that no connection is made to --------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("sqlite:///data/a.db?table=t", True),
        ("sqlite:///data/deep/a.db?table=t", True),
        ("sqlite:///data2/a.db?table=t", False),
        ("sqlite:///data/../etc/a.db?table=t", False),
        ("sqlite:///data/%2e%2e/etc/a.db?table=t", False),
        ("s3://bucket/any/thing.csv", True),
        ("s3://bucket-2/thing.csv", False),
        ("lance:///data/a.db", False),
        ("https://host/a.csv", False),
    ],
)
def test_an_output_at_a_url_stands_under_what_is_allowed(address: str, allowed: bool) -> None:
    prefixes = ("/data", "sqlite:///data", "s3://bucket/")
    if allowed:
        check_address(address, prefixes, verb="write", flag="--allow-destination")
        return
    with pytest.raises(NotAllowed, match="--allow-destination would allow it"):
        check_address(address, prefixes, verb="write", flag="--allow-destination")


# --- paths ------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with what may be read, beside what may not."""
    for name in ("data/in.csv", "data/deep/er.csv", "data/.env", "data/.batcher/b.db", "data2/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ROWS)
    (tmp_path / "secret.csv").write_text(ROWS)
    (tmp_path / "data/link.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "data/etc").symlink_to("/etc")
    (tmp_path / "data/chain").symlink_to("link.csv")
    (tmp_path / "data/inner.csv").symlink_to("deep/er.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(path: str, *allowed: str) -> None:
    check_path(path, allowed, verb="read", flag="--allow-source")


@pytest.mark.parametrize(
    "path",
    ["data/in.csv", "./data//in.csv", "data/deep/../in.csv", "data/deep/er.csv", "data/inner.csv",
     "data/not-there-yet.csv", "data/new/folder/out.csv"],
)  # fmt: skip
def test_what_is_below_an_allowed_path_is_allowed(here: Path, path: str) -> None:
    check(path, str(here / "data"))
    check(str(here / path), str(here / "data"))
    check(path, "https://data.example/", str(here / "data") + "/")


@pytest.mark.parametrize(
    "path",
    ["secret.csv", "data/../secret.csv", "data/link.csv", "data/chain", "data/etc/passwd",
     "data/deep/../../secret.csv", "data2/x", "/etc/passwd", "/proc/self/environ", "/dev/stdin",
     "-", "file:/etc/passwd", "https://data.example/in.csv", "data/in.csv\0", "~/secret", "",
     "data/.env", "data/.batcher/b.db", "data/deep/../.env"],
)  # fmt: skip
def test_whatever_leads_elsewhere_or_is_hidden_is_not(here: Path, path: str) -> None:
    with pytest.raises(NotAllowed):
        check(path, str(here / "data"))


def test_one_file_may_be_allowed_alone_and_nothing_at_all(here: Path) -> None:
    check("data/in.csv", str(here / "data/in.csv"))
    with pytest.raises(NotAllowed):
        check("data/deep/er.csv", str(here / "data/in.csv"))
    with pytest.raises(NotAllowed, match=r"may not read data/in\.csv: --allow-source"):
        check("data/in.csv")


def test_a_url_is_no_path(here: Path) -> None:
    (here / "s3:/bucket").mkdir(parents=True)
    allowed = (str(here), "s3://bucket/in/")
    check_address("s3://bucket/in/a.csv", allowed, verb="write", flag="--allow-destination")
    check_address("data/in.csv", allowed, verb="write", flag="--allow-destination")
    with pytest.raises(NotAllowed, match="may not write s3://bucket: --allow-destination"):
        check_address("s3://bucket/x?s3cret", allowed, verb="write", flag="--allow-destination")


def test_an_allowed_path_may_be_a_link_itself(here: Path) -> None:
    (here / "current").symlink_to("data")
    check("current/in.csv", str(here / "current"))
    check("data/in.csv", str(here / "current"))


# --- URLs -------------------------------------------------------------------------------------


class Place(NamedTuple):
    url: str
    asked: list[str]


Serve: TypeAlias = Callable[[], Awaitable[Place]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Makes web servers on this machine, which redirect as their paths say."""
    stack = AsyncExitStack()

    async def make() -> Place:
        asked: list[str] = []

        async def answer(request: web.Request) -> web.Response:
            asked.append(request.path_qs)
            if request.path == "/round":
                raise web.HTTPFound("/round")
            if target := request.query.get("to"):
                raise web.HTTPFound(target)
            return web.Response(text=ROWS)

        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return Place(f"http://127.0.0.1:{runner.addresses[0][1]}", asked)

    yield make
    await stack.aclose()


async def fetched(url: str, tmp_path: Path, *allowed: str) -> str:
    """What is read of an input at a URL."""
    wanted = SourceRequest(
        address=url,
        spool_dir=tmp_path / "spool",
        clock=SystemClock(),
        format="csv",
        allowed=allowed,
    )
    with await open_url(wanted) as source:
        facts = source.check(id_column="id", columns=["body"], skip_bad=False)
        return f"{facts.rows} row"


async def test_what_the_operator_named_is_fetched_wherever_it_is(
    serve: Serve, tmp_path: Path
) -> None:
    place = await serve()
    assert await fetched(f"{place.url}/in/a.csv", tmp_path, f"{place.url}/in") == "1 row"
    assert (
        await fetched(f"{place.url}/in/a.csv?to={place.url}/in/b", tmp_path, place.url) == "1 row"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1",
                                  "[::ffff:127.0.0.1]", "0"])  # fmt: skip
async def test_a_prefix_without_a_host_means_public_addresses_alone(
    serve: Serve, tmp_path: Path, host: str
) -> None:
    place = await serve()
    port = place.url.rpartition(":")[2]
    with pytest.raises(NotAllowed, match="not public"):
        await fetched(f"http://{host}:{port}/a.csv", tmp_path, "https://", "http://")
    assert place.asked == []


async def test_a_redirect_is_judged_like_the_first_url(serve: Serve, tmp_path: Path) -> None:
    allowed, other = await serve(), await serve()
    for target in (other.url, f"{allowed.url}/out", "http://169.254.169.254/latest/meta-data"):
        with pytest.raises(NotAllowed, match="--allow-source"):
            await fetched(
                f"{allowed.url}/in/a?to={target}", tmp_path, f"{allowed.url}/in", "https://"
            )
    with pytest.raises(NotAllowed, match="not public"):
        await fetched(
            f"{allowed.url}/in/a?to={other.url}", tmp_path, f"{allowed.url}/in", "http://"
        )
    assert other.asked == []
    assert all(path.startswith("/in/a?to=") for path in allowed.asked)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://data.example/x", "data:,id"])
async def test_a_redirect_to_what_is_no_web_page_is_none(
    serve: Serve, tmp_path: Path, target: str
) -> None:
    place = await serve()
    with pytest.raises(InputError, match="neither http nor https"):
        await fetched(f"{place.url}/a?to={target}", tmp_path, place.url)


async def test_redirects_end(serve: Serve, tmp_path: Path) -> None:
    place = await serve()
    with pytest.raises(InputError, match="redirects without an end"):
        await fetched(f"{place.url}/round", tmp_path, place.url)
    assert len(place.asked) == 10


async def test_a_name_of_the_operators_leads_to_no_link_local_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one may whose owner is not the operator's friend any more."""
    real = socket.getaddrinfo

    def lead_astray(host: Any, *more: Any, **named: Any) -> Any:
        if host == "data.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
        return real(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lead_astray)
    with pytest.raises(NotAllowed, match="link-local"):
        await fetched("http://data.example/a.csv", tmp_path, "http://data.example/")
