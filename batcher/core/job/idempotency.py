"""Idempotency keys: what makes two requests the same, and how a server says that it repeats itself.

A key is made of what is asked (which pieces of which job, which repair, how often it was asked
anew), never of its words, under a secret that the server does not have: nobody can try texts
against it. Servers that honour keys are not unanimous; what is read here is what they have in
common, and nothing depends on any of it being there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

OFF = "off"
"""In place of a header's name: no keys are sent."""

_REPLAY_HEADERS = tuple(
    f"{prefix}{subject}-{verb}"
    for prefix in ("", "x-")
    for subject in ("idempotent", "idempotency")
    for verb in ("replayed", "replay")
)
_STATUS_HEADERS = ("x-idempotency-status", "x-idempotency-cache", "idempotency-status")
_YES = frozenset({"true", "1", "yes", "hit", "replay", "replayed"})
_ABOUT_KEYS = b"idempoten"


class KeyMaker:
    """Makes the keys of one job."""

    def __init__(self, *, secret: str, job: str, parameters: Iterable[tuple[str, object]]) -> None:
        """``secret`` is what no server is told: the job's fingerprint.

        ``parameters`` go into every body, and are the same for all of them.
        """
        self._begun = blake2b(key=secret.encode()[:64], digest_size=16)
        self._begun.update(f"{job}\n{sorted(map(repr, parameters))}\n".encode())

    def make(
        self,
        shard: int,
        pieces: Sequence[int],
        *,
        reopened: int = 0,
        anew: int = 0,
        repairs: int = 0,
        variant: str = "",
    ) -> str:
        """The key of a request, as a UUID.

        ``shard`` is the number of its shard within the job, ``pieces`` are ascending. ``reopened``
        says how often a retry has asked for the pieces, ``anew`` how often an answer since then was
        of no use; ``variant`` is what the provider taught of the body's form.
        """
        if len(pieces) == pieces[-1] - pieces[0] + 1:
            asked = f"{pieces[0]}-{pieces[-1]}"
        else:
            asked = ",".join(map(str, pieces))
        made = self._begun.copy()
        made.update(f"{shard} {asked} {reopened} {anew} {repairs} {variant}".encode())
        plain = made.hexdigest()
        # A UUID of version 5, the one that is made from a name: some servers take nothing else.
        return f"{plain[:8]}-{plain[8:12]}-5{plain[13:16]}-8{plain[17:20]}-{plain[20:]}"


def is_replay(headers: Mapping[str, str]) -> bool:
    """Whether an answer says that it was kept from before; ``headers`` compare without case."""
    for name in _REPLAY_HEADERS:
        if name in headers:
            return headers[name].strip().lower() in _YES
    for name in _STATUS_HEADERS:
        if name in headers:
            return headers[name].strip().lower() in _YES
    return False


def is_from_cache(headers: Mapping[str, str]) -> bool:
    """Whether a gateway or a proxy says that the answer is from its cache."""
    return any("cache" in name.lower() and "hit" in headers[name].lower() for name in headers)


def is_about_keys(status: int, body: bytes) -> bool:
    """Whether a refusal is of the idempotency key, and not of what was asked."""
    return status in (400, 409, 422) and _ABOUT_KEYS in body[:4096].lower()
