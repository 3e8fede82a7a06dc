"""What a request is signed with, read from the environment by the names that a spec holds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from batcher.core.errors import UsageError
from batcher.core.spec import JobSpec

_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_SIGNING = {"authorization", "api-key"}
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
        UsageError: the provider wants a key and there is none, or a header names a variable that
            is not set.
    """
    headers = {name: expand(value, environment) for name, value in spec.headers.items()}
    secrets = [environment[name] for value in spec.headers.values() for name in _names(value)]
    signed = bool(_SIGNING & {name.lower() for name in headers})
    key = "simulated" if spec.simulate else environment.get(spec.api_key_env, "")
    if key and not signed:
        azure = spec.api_version is not None
        headers |= {"api-key": key} if azure else {"Authorization": f"Bearer {key}"}
        secrets.append(key)
    elif not signed and (urlsplit(spec.base_url).hostname or "").endswith(_ALWAYS_SIGNED):
        raise UsageError(
            f"no key in the environment: set {spec.api_key_env}, name another variable with "
            "--api-key-env, or try the built-in provider with --simulate"
        )
    return Credential(headers=headers, secrets=tuple(secrets))


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
    return _REFERENCE.sub(lambda match: environment[match.group(1) or match.group(2)], value)


def _names(value: str) -> list[str]:
    return [match.group(1) or match.group(2) for match in _REFERENCE.finditer(value)]
