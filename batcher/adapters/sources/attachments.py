"""The files that rows name: at paths and at URLs, as far as whoever runs this lets them be read.

A message never has the path or the URL, which are the row's.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batcher.core.errors import NotAllowed, RowError, UsageError
from batcher.core.job.reach import is_url_prefix
from batcher.core.job.urls import check_web_url
from batcher.core.row.attachments import KeptAttachment

if TYPE_CHECKING:
    from batcher.adapters.system.reach_guards import UrlGate

_BLOCK_BYTES = 1 << 20
_FILES_AT_ONCE = 8
_URLS_AT_ONCE = 16
_REMEMBERED = 4_096
_LOOK_SECONDS = 0.25
_TRIES = 3
_WAIT_SECONDS = 1.0
_WHOLE_SECONDS = 120.0
_CONNECT_SECONDS = 30.0


class _TooLong(Exception):  # no error
    """There is more to come than there may be."""


def missing() -> RowError:
    """Why a row fails whose attachment is not there."""
    return RowError("attachment_missing", "an attachment of the row cannot be read")


def refused() -> NotAllowed:
    """Why nothing is read; the words of whoever refuses it may name it."""
    return NotAllowed(
        "this worker may not read an attachment of a row: --allow-source would allow it"
    )


def changed() -> RowError:
    """Why a row fails whose attachment is another one by now."""
    return RowError("attachment_changed", "an attachment of the row changed since it was planned")


def too_long(most_bytes: int) -> RowError:
    """Why a row fails whose attachment is longer than that."""
    return RowError(
        "attachment_too_large", f"an attachment of the row has more than {most_bytes:,} bytes"
    )


class RowAttachments:
    """The attachments of one job (:class:`batcher.ports.AttachmentFiles`)."""

    def __init__(self, base: Path, allowed: tuple[str, ...] | None) -> None:
        """``base`` is where relative paths begin; ``allowed`` None: anything may be read."""
        self._base = base
        self._allowed = allowed
        self._measured: dict[tuple[str, int, int, int], KeptAttachment] = {}

    def __repr__(self) -> str:
        """Where they are."""
        return f"<RowAttachments at {self._base}>"

    def measure(
        self, addresses: Sequence[str], most_bytes: int, stopped: Callable[[], bool]
    ) -> list[KeptAttachment | RowError]:
        """See :meth:`batcher.ports.AttachmentFiles.measure`."""
        different = list(dict.fromkeys(addresses))
        urls = [address for address in different if is_url_prefix(address)]
        paths = [address for address in different if not is_url_prefix(address)]
        found: dict[str, KeptAttachment | RowError] = {}
        if paths:
            with ThreadPoolExecutor(min(_FILES_AT_ONCE, len(paths)), "attachments") as threads:
                measured = threads.map(
                    lambda path: self._measure_file(path, most_bytes, stopped), paths
                )
                found.update(zip(paths, measured, strict=True))
        if urls:
            found.update(asyncio.run(self._measure_urls(urls, most_bytes, stopped)))
        return [found[address] for address in addresses]

    async def read(self, kept: KeptAttachment) -> bytes:
        """See :meth:`batcher.ports.AttachmentFiles.read`."""
        if is_url_prefix(kept.address):
            try:
                content = b"".join(
                    [one async for one in self._fetched(kept.address, kept.size_bytes)]
                )
            except _TooLong:
                raise changed() from None
        else:
            content = await asyncio.to_thread(self._read_file, kept)
        digest = await asyncio.to_thread(hashlib.sha256, content)
        if len(content) != kept.size_bytes or digest.hexdigest() != kept.sha256:
            raise changed()
        return content

    # --- at paths -----------------------------------------------------------------------------

    def _measure_file(
        self, path: str, most_bytes: int, stopped: Callable[[], bool]
    ) -> KeptAttachment | RowError:
        try:
            address = os.path.realpath(self._base / path)
            with self._opened(address) as descriptor:
                about = os.fstat(descriptor)
                if about.st_size > most_bytes:
                    return too_long(most_bytes)
                key = (address, about.st_size, about.st_mtime_ns, about.st_ino)
                if (known := self._measured.get(key)) is not None:
                    return known
                digest, size = hashlib.sha256(), 0
                while block := os.read(descriptor, _BLOCK_BYTES):
                    size += len(block)
                    if size > most_bytes:
                        return too_long(most_bytes)
                    if stopped():
                        return missing()
                    digest.update(block)
        except RowError as error:
            return error
        except (OSError, ValueError):
            return missing()
        kept = KeptAttachment(address, size, digest.hexdigest())
        if len(self._measured) >= _REMEMBERED:
            self._measured.clear()
        self._measured[key] = kept
        return kept

    def _read_file(self, kept: KeptAttachment) -> bytes:
        try:
            with self._opened(kept.address) as descriptor:
                if os.fstat(descriptor).st_size != kept.size_bytes:
                    raise changed()
                with os.fdopen(os.dup(descriptor), "rb") as file:
                    return file.read(kept.size_bytes + 1)
        except (OSError, ValueError):
            raise missing() from None

    def _opened(self, address: str) -> _Opened:
        """The file at a path, to be read.

        Raises:
            NotAllowed: it may not be.
            OSError: it cannot be.
            RowError: it is something else than a file.
        """
        if self._allowed is not None:
            from batcher.adapters.system.reach_guards import check_path  # aiohttp takes a while

            try:
                check_path(address, self._allowed, verb="read", flag="--allow-source")
            except NotAllowed:
                raise refused() from None
        return _Opened(address)

    # --- at URLs ------------------------------------------------------------------------------

    async def _measure_urls(
        self, urls: Sequence[str], most_bytes: int, stopped: Callable[[], bool]
    ) -> Mapping[str, KeptAttachment | RowError]:
        room = asyncio.Semaphore(_URLS_AT_ONCE)

        async def measure(url: str) -> KeptAttachment | RowError:
            async with room:
                return await self._measure_url(url, most_bytes)

        tasks = {asyncio.create_task(measure(url), name="attachment"): url for url in urls}
        waiting = set(tasks)
        try:
            while waiting and not stopped():
                done, waiting = await asyncio.wait(waiting, timeout=_LOOK_SECONDS)
                for task in done:
                    if isinstance(error := task.exception(), NotAllowed):
                        raise error
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {url: missing() if task in waiting else task.result() for task, url in tasks.items()}

    async def _measure_url(self, url: str, most_bytes: int) -> KeptAttachment | RowError:
        digest, size = hashlib.sha256(), 0
        try:
            async for block in self._fetched(url, most_bytes):
                size += len(block)
                digest.update(block)
        except _TooLong:
            return too_long(most_bytes)
        except RowError as error:
            return error
        return KeptAttachment(url, size, digest.hexdigest())

    async def _fetched(self, url: str, most_bytes: int) -> AsyncIterator[bytes]:
        """What is at a URL, as it comes; tried again as long as nothing has come.

        Raises:
            NotAllowed: it may not be fetched.
            RowError: it cannot be.
            _TooLong: it is longer than that.
        """
        if not _is_web_url(url):
            raise missing()
        for tries_left in reversed(range(_TRIES)):
            left = most_bytes
            try:
                async with _answered(url, self._gate()) as (status, blocks):
                    if status == 200:
                        async for block in blocks:
                            left -= len(block)
                            if left < 0:
                                raise _TooLong
                            yield block
                        return
                    may_pass = status >= 500 or status in (408, 425, 429)
            except NotAllowed:
                raise refused() from None
            except (OSError, TimeoutError):
                may_pass = left == most_bytes
            if not may_pass or not tries_left:
                raise missing()
            await asyncio.sleep(_WAIT_SECONDS)

    def _gate(self) -> UrlGate | None:
        if self._allowed is None:
            return None
        from batcher.adapters.system.reach_guards import UrlGate

        return UrlGate(self._allowed)


class _Opened:
    """An open file, and nothing else: a pipe would wait, and a device would not end."""

    def __init__(self, address: str) -> None:
        self._descriptor = os.open(address, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.close(self._descriptor)
            raise missing()

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _is_web_url(url: str) -> bool:
    try:
        check_web_url(url)
    except UsageError:
        return False
    return url.lower().startswith(("http://", "https://"))


@asynccontextmanager
async def _answered(
    url: str, gate: UrlGate | None
) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
    """The status at the end of all redirects, and what comes after it.

    Raises:
        NotAllowed: one of the URLs on the way may not be fetched.
        OSError: there is no whole answer.
    """
    import aiohttp  # takes a while to import

    from batcher.adapters.sources.download import ask

    limits = aiohttp.ClientTimeout(
        total=_WHOLE_SECONDS, sock_connect=_CONNECT_SECONDS, sock_read=_CONNECT_SECONDS
    )
    try:
        async with ask(url, limits, gate) as reply:
            yield reply.status, reply.content.iter_chunked(_BLOCK_BYTES)
    except aiohttp.ClientError as error:
        raise OSError("there is no whole answer") from error


def base_of(address: str) -> Path:
    """Where relative paths of an input's rows begin: beside the input, where that is a file."""
    if not is_url_prefix(address):
        try:
            path = Path(os.path.realpath(address))
            if path.is_file():
                return path.parent
        except (OSError, ValueError):
            pass
    return Path.cwd()
