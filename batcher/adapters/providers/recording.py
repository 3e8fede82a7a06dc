"""Answers kept in a file, and given again: runs without a network, and what was really answered.

A line of the file is one answer, as JSON: ``request`` is the hash of what was asked (path and
body), ``path``, ``status``, ``headers``, and ``body``, the text that came (``body_base64`` where it
is no UTF-8). ``asked`` is the request's body, where that was wanted. The file is private, and keys
are struck.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from batcher.adapters.system.private_files import make_file
from batcher.core.errors import UsageError
from batcher.ports import JSON_TYPE, MOST_ANSWER_BYTES, AnswerRoom, Provider, Reply

_STRUCK = b"[key]"
_SHORTEST_KEY = 6
_KEPT_HEADERS = frozenset({"content-type", "content-encoding", "x-request-id", "request-id"})
"""Of what was answered then, limits and waits mean nothing now."""
_NOT_RECORDED = {
    "error": {
        "code": "not_recorded",
        "message": "the recorded answers have none to this request: "
        "record it with --record, or look whether the prompt, model or parameters changed",
    }
}


def request_hash(path: str, body: bytes) -> str:
    """What a request is known by: its path, and its body whatever the order of its keys."""
    try:
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONDecodeError:
        pass  # integers beyond 64 bits: as it was sent
    return hashlib.sha256(path.encode() + b"\0" + body).hexdigest()


class Recorder:
    """A provider that keeps every answer of another one (:class:`batcher.ports.Provider`)."""

    def __init__(
        self, provider: Provider, file: BinaryIO, secrets: tuple[str, ...], *, requests: bool
    ) -> None:
        """``file`` is open for appending; ``requests``: what was asked is kept as well."""
        self._provider = provider
        self._file = file
        self._secrets = [secret.encode() for secret in secrets if len(secret) >= _SHORTEST_KEY]
        self._requests = requests

    def __repr__(self) -> str:
        """Whose answers it keeps."""
        return f"<Recorder of {self._provider!r}>"

    async def post(
        self,
        path: str,
        body: bytes,
        request_id: str,
        *,
        key: str = "",
        most_bytes: int = MOST_ANSWER_BYTES,
        room: AnswerRoom | None = None,
        content_type: str = JSON_TYPE,
    ) -> Reply:
        """See :meth:`batcher.ports.Provider.post`."""
        reply = await self._provider.post(
            path,
            body,
            request_id,
            key=key,
            most_bytes=most_bytes,
            room=room,
            content_type=content_type,
        )
        self._keep(path, body, reply)
        return reply

    def _keep(self, path: str, body: bytes, reply: Reply) -> None:
        line: dict[str, Any] = {
            "request": request_hash(path, body),
            "path": path,
            "status": reply.status,
            "headers": {str(name): self._struck(value.encode()).decode(errors="replace")
                        for name, value in reply.headers.items()},
        }  # fmt: skip
        answer = self._struck(reply.body)
        try:
            line["body"] = answer.decode()
        except UnicodeDecodeError:
            line["body_base64"] = base64.b64encode(answer).decode()
        if self._requests:
            line["asked"] = self._struck(body).decode(errors="replace")
        self._file.write(orjson.dumps(line) + b"\n")

    def _struck(self, text: bytes) -> bytes:
        for secret in self._secrets:
            text = text.replace(secret, _STRUCK)
        return text


@contextmanager
def recording(
    provider: Provider, path: Path, secrets: tuple[str, ...], *, requests: bool
) -> Iterator[Recorder]:
    """Keep the provider's answers at the end of a file, which is made if need be.

    Raises:
        UsageError: the file holds something else, or cannot be written.
    """
    try:
        make_file(path)
        with path.open("rb+") as file:
            for _ in _lines(path, file):
                pass
            if file.seek(0, os.SEEK_END) and not _ends_a_line(file):
                file.write(b"\n")  # the last answer of a run that was killed
            yield Recorder(provider, file, secrets, requests=requests)
    except OSError as error:
        raise UsageError(f"--record {path}: {error.strerror or error}") from error


class Replay:
    """A provider that gives recorded answers (:class:`batcher.ports.Provider`).

    Of a request that was answered more than once, the last answer counts. A request that is not in
    the file is answered by 404.
    """

    def __init__(self, path: Path) -> None:
        """Read where the answers are.

        Raises:
            UsageError: it cannot be read, or holds something else.
        """
        self._places: dict[str, tuple[int, int]] = {}
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise UsageError(f"--via replay {path}: {error.strerror or error}") from error
        try:
            for request, place in _lines(path, self._file):
                self._places[request] = place
        except BaseException:
            self._file.close()
            raise

    def __repr__(self) -> str:
        """How many requests it can answer."""
        return f"<Replay of {len(self._places)} requests>"

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    async def post(
        self,
        path: str,
        body: bytes,
        request_id: str,
        *,
        key: str = "",
        most_bytes: int = MOST_ANSWER_BYTES,
        room: AnswerRoom | None = None,
        content_type: str = JSON_TYPE,
    ) -> Reply:
        """See :meth:`batcher.ports.Provider.post`."""
        del request_id, key, most_bytes, room, content_type
        place = self._places.get(request_hash(path, body))
        if place is None:
            return Reply(404, _headers({}), orjson.dumps(_NOT_RECORDED))
        line = orjson.loads(os.pread(self._file.fileno(), place[1], place[0]))
        encoded = line.get("body_base64")
        answer = line["body"].encode() if encoded is None else base64.b64decode(encoded)
        return Reply(line["status"], _headers(line["headers"]), answer)


def open_replay(path: str | os.PathLike[str] | None) -> Replay:
    """The recorded answers of a file.

    Raises:
        UsageError: none was named, it cannot be read, or it holds something else.
    """
    if path is None:
        raise UsageError(
            "the job takes recorded answers, and no file of them is named: "
            "batcher run … --via replay FILE names it"
        )
    return Replay(Path(path))


def _headers(headers: Mapping[str, str]) -> CIMultiDictProxy[str]:
    kept = {name: value for name, value in headers.items() if name.lower() in _KEPT_HEADERS}
    return CIMultiDictProxy(CIMultiDict({"content-type": "application/json", **kept}))


def _ends_a_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _lines(path: Path, file: BinaryIO) -> Iterator[tuple[str, tuple[int, int]]]:
    """The hash of each request, and where its answer is; the last line may be cut off.

    Raises:
        UsageError: another line is no answer.
    """
    at = 0
    for number, raw in enumerate(file, 1):
        try:
            line = orjson.loads(raw)
            yield line["request"], (at, len(raw))
            _ = line["status"], line["headers"]
        except (orjson.JSONDecodeError, LookupError, TypeError) as error:
            if raw.endswith(b"\n") and raw.strip() and not _was_cut_off(raw):
                raise UsageError(
                    f"{path}:{number}: this is not a recorded answer; name a file that --record "
                    "wrote"
                ) from error
        at += len(raw)


def _was_cut_off(raw: bytes) -> bool:
    """Whether it is the beginning of a line that a killed run did not end."""
    return raw.startswith(b'{"request":"') and not raw.rstrip().endswith(b"}")
