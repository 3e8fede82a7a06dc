"""What keeps a request from its answer: named, with what to do, and whether it was ever sent."""

from __future__ import annotations

import asyncio
import gzip
import os
import ssl
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import brotli
import pytest
import trustme
import zstandard

from batcher.adapters.providers.http import open_provider
from batcher.adapters.providers.proxy import Proxy, proxy_for
from batcher.core.errors import TransportError, UsageError
from tests.servers.http_proxy import http_proxy
from tests.servers.raw import Handler, raw_server

HOST = "api.example.test"
ANSWER = b'{"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}], "usage": {}}'


def always(answer: bytes) -> Handler:
    """The same to every request, down to the bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            writer.write(answer)
            await writer.drain()

    return handle


async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a server without TLS makes of a handshake."""
    await reader.read(16)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


def answering(body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def error_of(base_url: str, proxy: Proxy | None = None) -> TransportError:
    async with open_provider(
        base_url, headers={}, query={}, timeout_seconds=5.0, connections=2, proxy=proxy
    ) as provider:
        with pytest.raises(TransportError) as raised:
            await provider.post("/chat/completions", b"{}", "r-1")
        return raised.value


# --- TLS ------------------------------------------------------------------------------------------


async def test_a_certificate_that_nobody_trusts_lasts(authority: trustme.CA) -> None:
    context = server_context(authority, "127.0.0.1")
    async with raw_server(always(answering(b"{}")), context) as port:
        error = await error_of(f"https://127.0.0.1:{port}/v1")
    assert not error.maybe_billed
    assert "is not trusted" in error.lasting
    assert "SSL_CERT_FILE" in error.lasting


async def test_tls_where_there_is_none_lasts() -> None:
    async with raw_server(plain) as port:
        error = await error_of(f"https://127.0.0.1:{port}/v1")
    assert not error.maybe_billed
    assert "does not speak TLS" in error.lasting


async def test_a_connection_that_is_refused_may_pass() -> None:
    error = await error_of("http://127.0.0.1:1/v1")
    assert (error.code, error.maybe_billed, error.lasting) == ("connect", False, "")


async def test_a_name_that_does_not_resolve_lasts() -> None:
    error = await error_of("http://no-host.invalid/v1")
    assert (error.code, error.maybe_billed) == ("connect", False)
    assert "no-host.invalid does not resolve" in error.lasting


# --- proxies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "said"),
    [(403, "HTTP 403"), (407, "put user and password into it"), (404, "HTTP 404"), (502, "")],
)
async def test_what_a_proxy_answers_to_connect(status: int, said: str) -> None:
    """A 5xx speaks of what is behind the proxy, and may pass."""
    async with http_proxy(status=status) as server:
        proxy = Proxy(server.url, "HTTPS_PROXY", "the-proxy:3128")
        error = await error_of(f"https://{HOST}/v1", proxy)
    assert (error.code, error.maybe_billed) == ("connect", False)
    assert "the-proxy:3128 refuses" in str(error)
    assert said in error.lasting
    assert bool(error.lasting) == (status < 500)


async def test_a_proxy_that_is_not_there_is_named() -> None:
    error = await error_of(
        f"https://{HOST}/v1", Proxy("http://127.0.0.1:1", "HTTPS_PROXY", "127.0.0.1:1")
    )
    assert not error.maybe_billed
    assert "no connection to the proxy 127.0.0.1:1" in error.lasting
    assert "HTTPS_PROXY" in error.lasting


@pytest.mark.process
async def test_a_run_goes_through_a_proxy_by_tls_with_an_authority_of_its_own(
    tmp_path: Path, authority: trustme.CA
) -> None:
    """``HTTPS_PROXY`` and ``SSL_CERT_FILE``, as a company's network has them."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "in.csv").write_text("q\none\ntwo\n", encoding="utf-8")
    (tmp_path / "p.j2").write_text("{{ q }}", encoding="utf-8")
    async with (
        raw_server(always(answering(ANSWER)), server_context(authority, HOST)) as port,
        http_proxy(target_port=port) as proxy,
    ):
        code, said = await run_batcher(
            tmp_path,
            f"https://{HOST}/v1",
            HTTPS_PROXY=proxy.url.replace("//", "//someone:pass%20word@"),
            SSL_CERT_FILE=str(tmp_path / "ca.pem"),
        )
        assert code == 0, said
        assert b"CONNECT api.example.test:443" in proxy.heads[0]
        assert b"Proxy-Authorization: Basic c29tZW9uZTpwYXNzIHdvcmQ=" in proxy.heads[0]
    assert (tmp_path / "out.jsonl").read_text("utf-8").count("yes") == 2


@pytest.mark.process
async def test_a_run_whose_authority_is_no_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("q\none\n", encoding="utf-8")
    (tmp_path / "p.j2").write_text("{{ q }}", encoding="utf-8")
    code, said = await run_batcher(
        tmp_path, f"https://{HOST}/v1", SSL_CERT_FILE=str(tmp_path / "none.pem")
    )
    assert code == 2
    assert "SSL_CERT_FILE" in said
    assert "none.pem" in said


async def run_batcher(directory: Path, base_url: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "batcher", "run", "chat", "in.csv", "--prompt", "p.j2", "--model", "m"),
        *("-o", "out.jsonl", "--base-url", base_url),
        cwd=directory,
        env={**os.environ, "OPENAI_API_KEY": "sk-canary-123456", **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert proxy_for("https://api.example.com/v1") is None
    monkeypatch.setenv("ALL_PROXY", "http://all.example:1")
    monkeypatch.setenv("HTTPS_PROXY", " http://me:p%40ss-word@secure.example:2\n")
    monkeypatch.setenv("NO_PROXY", "inner.example, other.example:8443")
    secure = proxy_for("https://api.example.com/v1")
    assert secure is not None
    assert (secure.variable, secure.address) == ("HTTPS_PROXY", "secure.example:2")
    assert secure.secrets == ("p@ss-word", "p%40ss-word")
    assert "word" not in repr(secure)
    plain = proxy_for("http://api.example.com/v1")
    assert plain is not None
    assert (plain.variable, plain.url) == ("ALL_PROXY", "http://all.example:1")
    for url in (
        "https://inner.example/v1",
        "https://a.inner.example",
        "https://other.example:8443",
    ):
        assert proxy_for(url) is None
    assert proxy_for("http://localhost:8000/v1") is None
    assert proxy_for("http://127.0.0.1:8000/v1") is None


@pytest.mark.parametrize("proxy", ["host:3128", "socks5h://a:1", "http://", "http://a:b", "//a:1"])
def test_what_is_no_proxy_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(UsageError, match="HTTPS_PROXY"):
        proxy_for("https://api.example.com/v1")


# --- answers that are HTTP, only just -------------------------------------------------------------


async def test_long_headers_are_read() -> None:
    headers = [b"X-Trace: " + b"a" * 100_000, *(b"X-%d: b" % number for number in range(300))]
    async with (
        raw_server(always(answering(b"{}", *headers))) as port,
        open_provider(
            f"http://127.0.0.1:{port}", headers={}, query={}, timeout_seconds=5.0, connections=1
        ) as provider,
    ):
        reply = await provider.post("/x", b"{}", "r-1")
    assert (reply.status, len(reply.headers["x-trace"])) == (200, 100_000)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        (b"gzip", gzip.compress),
        (b"GZIP", gzip.compress),
        (b"deflate", zlib.compress),
        (b"deflate", lambda raw: zlib.compress(raw)[2:-4]),
        (b"br", brotli.compress),
        (b"zstd", zstandard.compress),
        (b"identity", bytes),
    ],
)
async def test_an_encoded_answer_is_read_asked_for_or_not(
    encoding: bytes, pack: Callable[[bytes], bytes]
) -> None:
    body = b'{"choices": []}' * 1000
    async with (
        raw_server(always(answering(pack(body), b"Content-Encoding: " + encoding))) as port,
        open_provider(
            f"http://127.0.0.1:{port}", headers={}, query={}, timeout_seconds=5.0, connections=1
        ) as provider,
    ):
        assert (await provider.post("/x", b"{}", "r-1")).body == body


@pytest.mark.parametrize(
    "answer",
    [
        answering(b"{}", b"X-Endless: " + b"a" * 2**19),
        b"+PONG\r\n" * 10,
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    ],
)
async def test_what_is_not_http_lasts_and_may_have_been_billed(answer: bytes) -> None:
    async with raw_server(always(answer)) as port:
        error = await error_of(f"http://127.0.0.1:{port}/v1")
    assert (error.code, error.maybe_billed) == ("disconnect", True)
    assert "is not HTTP" in error.lasting
    assert urlsplit(f"//127.0.0.1:{port}").netloc in error.lasting
    assert "aaaa" not in f"{error}{error.lasting}"
