"""What a request is signed with, read from the environment by the names that a spec holds.

What is around a key is not part of it: a line break from the file that it was read from, a blank
that was copied with it. What is inside and cannot be sent is refused before anything is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from batcher.core.errors import UsageError
from batcher.core.job.spec import JobSpec

_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_SIGNING = {"authorization", "api-key"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_AROUND = " \t\r\n\v\f\0\u00a0\u200b\ufeff"
_OF_THE_CONNECTION = frozenset(
    """connection content-encoding content-length expect http2-settings keep-alive proxy-connection
    te trailer transfer-encoding upgrade""".split()
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ALWAYS_SIGNED = ("api.openai.com", ".azure.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Headers with a key in them, and what must be struck from messages; never shown."""

    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def digest(self) -> str:
        """A short hash, which tells credentials apart and gives none away."""
        return hashlib.sha256("\0".join(self.secrets).encode()).hexdigest()[:12]


def read_credential(spec: JobSpec, environment: Mapping[str, str]) -> Credential:
    """The credential of a spec's requests; a simulated provider wants none.

    Raises:
        UsageError: the provider wants a key and there is none, a header names a variable that
            is not set, or a value cannot stand in a header.
    """
    headers = {}
    for name, value in spec.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise UsageError(f"--header {name!r} is not the name of a header")
        if name.lower() in _OF_THE_CONNECTION:
            raise UsageError(f"--header {name} says how a request is sent: leave it out")
        headers[name] = _clean(expand(value, environment), f"--header {name}")
    secrets = [
        environment[name].strip(_AROUND)
        for value in spec.headers.values()
        for name in _names(value)
    ]
    signed = bool(_SIGNING & {name.lower() for name in headers})
    key = "simulated" if spec.simulate else environment.get(spec.api_key_env, "")
    key = _clean(key, spec.api_key_env)
    if key and not signed:
        if not key.isascii():
            raise UsageError(
                f"{spec.api_key_env} holds a character that no key has: copy the key again"
            )
        azure = spec.api_version is not None
        headers |= {"api-key": key} if azure else {"Authorization": f"Bearer {key}"}
        secrets.append(key)
    elif not signed and (urlsplit(spec.base_url).hostname or "").endswith(_ALWAYS_SIGNED):
        raise UsageError(
            f"no key in the environment: set {spec.api_key_env}, name another variable with "
            "--api-key-env, or try the built-in provider with --simulate"
        )
    return Credential(headers=headers, secrets=tuple(secrets))


def _clean(value: str, name: str) -> str:
    """A value without what is around it.

    Raises:
        UsageError: a control character is inside it. The value is not quoted.
    """
    value = value.strip(_AROUND)
    if _CONTROL.search(value):
        raise UsageError(
            f"{name} holds a line break or another control character: a header has one line"
        )
    return value


def url_secrets(*urls: str | None) -> tuple[str, ...]:
    """The passwords in URLs, of a proxy or a database, as they stand there and as they are meant.

    A user without a password may be a token, and counts as one.
    """
    found: list[str] = []
    for url in urls:
        netloc, _, query = (url or "").partition("://")[2].partition("?")
        user, at, _ = netloc.rpartition("@")
        if at:
            found.append(user.partition(":")[2] or user)
        found += [value for name, value in parse_qsl(query) if name == "password"]
    return tuple(dict.fromkeys(form for text in found for form in (text, unquote(text)) if form))


def expand(value: str, environment: Mapping[str, str]) -> str:
    """A header's value with ``$NAME`` and ``${NAME}`` read from the environment.

    Raises:
        UsageError: a name is not set.
    """
    for name in _names(value):
        if name not in environment:
            raise UsageError(f"--header names ${name}, which the environment does not have")
    return _REFERENCE.sub(
        lambda match: environment[match.group(1) or match.group(2)].strip(_AROUND), value
    )


def _names(value: str) -> list[str]:
    return [match.group(1) or match.group(2) for match in _REFERENCE.finditer(value)]
