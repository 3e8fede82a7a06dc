"""What a worker lets jobs reach: providers, inputs, outputs. Whoever starts the worker says it.

Decided here: which provider a job gets, and which URLs stand under a prefix. Paths are compared
where there is a file system, and names resolved where there is a network. A job's description is
never believed: it is compared with what the operator said, and what is sent comes from there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from batcher.core.errors import NotAllowed
from batcher.core.job.description_parts import ProviderPart
from batcher.core.job.providers import ProviderConfig
from batcher.core.job.spec import JobSpec

_REFERENCE = re.compile(r"\$\{?[A-Za-z_]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_USUAL_PORTS = {"http": 80, "https": 443}
_NOT_FOR_KEYS = frozenset(
    """accept-encoding api-key authorization connection content-encoding content-length content-type
    cookie expect host proxy-authorization te trailer transfer-encoding upgrade""".split()
)
_NAT64 = ip_network("64:ff9b::/96")

Admitted: TypeAlias = Literal["named", "public"]
"""A URL whose host the operator named, or one that may be anybody's, at a public address alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What the jobs of a worker may reach.

    ``providers`` are those that the worker has, by name. ``sources`` and ``destinations`` are
    absolute paths, with all that is below them, and prefixes of URLs. With ``unsigned``, a job may
    also name a provider's place that the worker was not told of, and gets no credential for it.
    """

    providers: Mapping[str, ProviderConfig]
    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    unsigned: bool = False

    def granted(self, spec: JobSpec, is_set: Callable[[str], bool]) -> Granted:
        """How a job's requests are sent here.

        ``is_set`` says whether the worker's environment has a variable.

        Raises:
            NotAllowed: it asks for what this worker does not have.
        """
        if spec.via != "online":
            raise NotAllowed("its answers are to come from a file, and workers replay none")
        if spec.simulate:
            return Granted(dataclasses.replace(spec, headers={}), signed=False)
        part = ProviderPart.of(spec)
        config = self._provider_of(part)
        if config is not None:
            if (
                reason := config.why_not(spec)
                or _odd_deployment(spec)
                or _odd_key_header(spec, config)
            ):
                raise NotAllowed(reason)
            return Granted(_as_configured(spec, config), signed=True)
        self._check_unsigned(part, is_set)
        if reason := _odd_key_header(spec, None):
            raise NotAllowed(reason)
        return Granted(dataclasses.replace(spec, provider=None), signed=False)

    def _provider_of(self, part: ProviderPart) -> ProviderConfig | None:
        """The provider that a job means, None where it means none of these.

        Raises:
            NotAllowed: it names one of these, or its place, and something else besides.
        """
        if part.name is not None:
            config = self.providers.get(part.name)
            if config is None:
                raise NotAllowed(
                    f"it asks for the provider {part.name}, and this worker has "
                    f"{', '.join(sorted(self.providers)) or 'none'}"
                )
            if not config.is_at(part):
                raise NotAllowed(
                    f"its provider {part.name} was at {part.base_url}, and is at "
                    f"{config.base_url} for this worker"
                )
            return config
        at = [config for config in self.providers.values() if config.is_at(part)]
        for config in at:
            if config.is_of(part):
                return config
        if at:
            raise NotAllowed(
                f"it asks for another credential or other headers than {at[0].name}, the "
                f"provider of this worker at {part.base_url}, has: name it with --provider"
            )
        return None

    def _check_unsigned(self, part: ProviderPart, is_set: Callable[[str], bool]) -> None:
        """Refuse a place that the worker was not told of, unless it needs nothing of the worker's.

        Raises:
            NotAllowed: with what its operator can do.
        """
        said = "; configure it as a provider of the worker's (--provider) if it should be"
        where = f"it asks for {part.base_url}, which is none of this worker's providers"
        if not self.unsigned:
            raise NotAllowed(where + said)
        if is_set(part.api_key_env) or any(map(_REFERENCE.search, part.headers.values())):
            raise NotAllowed(f"{where}, and for a credential there{said}")
        if is_link_local(urlsplit(part.base_url).hostname or ""):
            raise NotAllowed(f"{where}, at a link-local address{said}")


@dataclass(frozen=True, slots=True)
class Granted:
    """A job as it is sent; ``signed``: with the variables that it names, which are the worker's."""

    spec: JobSpec
    signed: bool


def admitted(url: str, prefixes: Iterable[str]) -> Admitted | None:
    """Whether a URL stands under one of some prefixes; None where it does not.

    A prefix has a scheme, and may have a host, a port and a path: ``https://data.example/in/``, or
    ``https://`` for all that anybody can reach. A path ends where a segment does. Schemes besides
    the web's are compared in the same way.
    """
    parts, found = _split(url), None
    if parts is None:
        return None
    for prefix in prefixes:
        allowed = _split(prefix) if is_url_prefix(prefix) else None
        if allowed is None or allowed.scheme != parts.scheme:
            continue
        if not allowed.netloc and not allowed.path:
            found = found or "public"
        elif _place(allowed) == _place(parts) and _is_below(parts.path, allowed.path):
            return "named"
    return found  # type: ignore[return-value]


def is_url_prefix(text: str) -> bool:
    """Whether what is allowed is a URL's beginning, and no path."""
    return _URL.match(text) is not None


def is_address(host: str) -> bool:
    """Whether a host would be connected to without a look-up: it is all digits, or has a colon."""
    return ":" in host or host.replace(".", "").isdigit()


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's, whatever it is wrapped in."""
    try:
        return _unwrapped(address).is_global
    except ValueError:
        return False


def is_link_local(host: str) -> bool:
    """Whether a host is a link-local IP address, where clouds tell machines their secrets.

    A number that is no address as everybody writes it may be one.
    """
    try:
        return _unwrapped(host).is_link_local
    except ValueError:
        return is_address(host)


def _unwrapped(text: str) -> IPv4Address | IPv6Address:
    """An address, or the one of version 4 that is in it."""
    address = ip_address(text.strip("[]").partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return None if "@" in parts.netloc or "\\" in url else parts


def _place(parts: SplitResult) -> tuple[str | None, int | None]:
    return parts.hostname, parts.port or _USUAL_PORTS.get(parts.scheme)


def _is_below(path: str, allowed: str) -> bool:
    """Whether a URL's path is another one, or below it; what would lead up again is not."""
    whole = allowed.rstrip("/")
    if not whole:
        return True
    plain = path
    for _ in range(3):
        plain = unquote(plain)
    if "\\" in plain or {".", ".."} & set(plain.split("/")):
        return False
    return path == whole or path.startswith(f"{whole}/")


def _odd_deployment(spec: JobSpec) -> str:
    """Why a model cannot be a deployment's name, which becomes a part of the URL's path."""
    if spec.api_version is not None and re.search(r"[/\\?#%]|^\.{1,2}$", spec.model):
        return f"the model {spec.model!r} is not the name of a deployment"
    return ""


def _odd_key_header(spec: JobSpec, config: ProviderConfig | None) -> str:
    """Why a header cannot carry idempotency keys: it would take the place of another one."""
    name = spec.idempotency_header.lower()
    taken = {each.lower() for each in ({} if config is None else config.headers)}
    if name in taken | _NOT_FOR_KEYS:
        return f"the header {spec.idempotency_header} is not for idempotency keys"
    return ""


def _as_configured(spec: JobSpec, config: ProviderConfig) -> JobSpec:
    """The job, sent to the provider as the worker has it, within the limits of both."""
    return dataclasses.replace(
        spec,
        provider=config.name,
        base_url=config.base_url,
        api_version=config.api_version,
        api_key_env=config.api_key_env,
        headers=dict(config.headers),
        rpm=_least(spec.rpm, config.rpm),
        tpm=_least(spec.tpm, config.tpm),
    )


def _least(one: int | None, other: int | None) -> int | None:
    said = [limit for limit in (one, other) if limit is not None]
    return min(said) if said else None
