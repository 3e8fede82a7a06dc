"""How a job's requests get to whoever answers them, and what of the environment goes with them.

A part of :mod:`batcher.wiring`. Whoever runs a job here is its operator, and the job's own words
count. A worker has a :class:`batcher.core.job.reach.Reach`: what it sends, and where, is then what
its operator has configured, and never what the job says.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from batcher import __version__
from batcher.adapters.system.configuration import read_providers
from batcher.adapters.system.meanwhile import import_meanwhile
from batcher.core.errors import UsageError
from batcher.core.job.providers import chosen
from batcher.core.job.reach import Granted, Reach, is_url_prefix
from batcher.core.job.urls import shown_url
from batcher.engine.services import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from batcher.adapters.system.reach_guards import GuardedNames
    from batcher.core.job.spec import JobSpec
    from batcher.engine.routes.route import Route, RouteNeeds
    from batcher.ports import Throttle, Tokenizer
    from batcher.settings import Settings


def reach_of(settings: Settings) -> Reach | None:
    """What a worker with these settings lets jobs reach; None leaves it to the jobs.

    Where nothing is said, that is: over a database that belongs to one machine's user, anything,
    since whoever writes to it is who starts the worker; over one that others reach, the worker's
    own providers, the files of its working directory and what is public of the web, and places that
    ask for no credential of the worker's.

    Raises:
        UsageError: a provider is named that is not configured, or one that is has no sense.
    """
    said = (settings.providers, settings.allow_source, settings.allow_destination)
    if not any(said) and not settings.is_shared:
        return None
    configured = read_providers(os.environ)
    if not any(said):
        here = str(Path.cwd())
        return Reach(
            providers=configured,
            sources=(here, "https://", "http://"),
            destinations=(here,),
            unsigned=True,
        )
    for name in settings.providers:
        if name not in configured:
            raise UsageError(
                f"no provider {name!r}: there are {', '.join(sorted(configured))}; "
                f"[providers.{name}] in batcher.toml would be one"
            )
    return Reach(
        providers={name: configured[name] for name in settings.providers or configured},
        sources=tuple(map(_absolute, settings.allow_source)),
        destinations=tuple(map(_absolute, settings.allow_destination)),
    )


def _absolute(allowed: str) -> str:
    """A path from the root on, wherever a process goes later; a URL as it is."""
    return allowed if is_url_prefix(allowed) else str(Path.cwd() / allowed)


def choose_provider(spec: JobSpec) -> JobSpec:
    """A job with what the provider that it names says of itself, as configured here.

    Raises:
        UsageError: there is no such provider, or it does not allow the job.
    """
    return spec if spec.provider is None else chosen(read_providers(os.environ), spec)


def open_tokenizer(model: str, name: str | None) -> Tokenizer:
    """The tokenizer of a model, or the one of that name."""
    from batcher.adapters.providers import tokenizer  # tiktoken takes a while to import

    return tokenizer.open_tokenizer(model, name)


def _hidden(settings: Settings) -> tuple[str, ...]:
    """What no message may tell besides a job's own credential: passwords of what it goes by."""
    from batcher.adapters.providers.credential import url_secrets

    password = os.environ.get("PGPASSWORD")
    proxies = [value for name, value in os.environ.items() if name.lower().endswith("_proxy")]
    urls = (settings.database_url, settings.redis_url, *proxies)
    return (*url_secrets(*urls), *([password] if password else []))


@asynccontextmanager
async def connect(
    spec: JobSpec,
    *,
    open_throttle: Callable[[], Throttle],
    settings: Settings,
    reach: Reach | None = None,
) -> AsyncIterator[Connection]:
    """An open way to the provider that a spec names, or to a simulated one.

    Raises:
        UsageError: the environment lacks what it names, or has what cannot be used.
        NotAllowed: it asks for more than there is in reach.
    """
    granted = _granted(spec, reach)
    throttle, hidden = open_throttle(), _hidden(settings)
    async with _connected(granted, throttle, hidden, settings) as connection:
        if settings.record is None:
            yield connection
            return
        from batcher.adapters.providers.recording import recording

        with recording(
            connection.provider,
            Path(settings.record),
            connection.secrets,
            requests=settings.record_requests,
        ) as provider:
            yield replace(connection, provider=provider)


@asynccontextmanager
async def _connected(
    granted: Granted, throttle: Throttle, hidden: tuple[str, ...], settings: Settings
) -> AsyncIterator[Connection]:
    """Connected to whoever answers: a provider, a simulated one, or recorded answers."""
    spec = granted.spec
    if spec.via == "replay":
        from batcher.adapters.providers.recording import open_replay

        with closing(open_replay(settings.replay)) as provider:
            yield Connection(
                provider=provider,
                throttle=throttle,
                quota=spec.answers_from,
                secrets=hidden,
                make_route=_make_route,
            )
        return
    if not spec.simulate:
        async with _connect_http(granted, spec.base_url, throttle, hidden) as connection:
            yield connection
        return
    from batcher.simulator import SimulatorConfig, serve

    tokenizer = open_tokenizer(spec.model, spec.tokenizer)
    config = SimulatorConfig(rpm=spec.rpm, tpm=spec.tpm)
    async with (
        serve(config, count_tokens=lambda text: tokenizer.count([text])[0]) as simulator,
        _connect_http(granted, simulator.base_url, throttle, hidden) as connection,
    ):
        yield connection


def _make_route(needs: RouteNeeds) -> Route:
    """The route of a run: which of :mod:`batcher.engine.routes` is chosen here."""
    from batcher.engine.routes.online.route import make_online_route

    return make_online_route(needs)


@asynccontextmanager
async def _connect_http(
    granted: Granted, base_url: str, throttle: Throttle, hidden: tuple[str, ...]
) -> AsyncIterator[Connection]:
    from batcher.adapters.providers.credential import read_credential
    from batcher.adapters.providers.http import open_provider  # aiohttp takes a while to import
    from batcher.adapters.providers.proxy import proxy_for
    from batcher.core.job.idempotency import OFF
    from batcher.core.limits import model_family
    from batcher.engine.opening.binding import quota_name

    spec = granted.spec
    credential = read_credential(spec, _environment(granted))
    proxy = proxy_for(base_url)
    query: dict[str, str] = {}
    if spec.api_version is not None:
        query = {"api-version": spec.api_version}
        if "/openai/" not in base_url:
            base_url = f"{base_url.rstrip('/')}/openai/deployments/{spec.model}"
    quota = quota_name(spec, model_family(spec.model), credential.digest)
    with throttle.ceiling(quota, rpm=spec.rpm, tpm=spec.tpm):
        async with open_provider(
            base_url,
            headers={"User-Agent": f"batcher/{__version__}", **credential.headers},
            query=query,
            timeout_seconds=spec.timeout,
            connections=spec.concurrency,
            proxy=proxy,
            key_header="" if spec.idempotency_header == OFF else spec.idempotency_header,
            resolver=None if granted.signed or spec.simulate else _guarded_names(base_url),
        ) as provider:
            yield Connection(
                provider=provider,
                throttle=throttle,
                quota=quota,
                secrets=(*credential.secrets, *hidden),
                make_route=_make_route,
                charges_prompt_too=spec.api_version is not None,
            )


def _guarded_names(base_url: str) -> GuardedNames:
    """Names of a place that a job chose, which must not lead to where clouds keep secrets."""
    from batcher.adapters.system.reach_guards import GuardedNames, check_named

    return GuardedNames(check_named, shown_url(base_url))


def _granted(spec: JobSpec, reach: Reach | None) -> Granted:
    """How a job is sent: as it says itself, or as the operator lets it.

    Raises:
        NotAllowed: it asks for more than there is in reach.
    """
    if reach is None:
        return Granted(spec, signed=True)
    return reach.granted(spec, lambda name: bool(os.environ.get(name)))


def check_asked(spec: JobSpec, output: str | None, *, reads: bool, reach: Reach | None) -> None:
    """Refuse a job that workers are asked to do, where who asks may not do it himself.

    ``output`` is where they are to write, ``reads`` whether they are to read the input.

    Raises:
        NotAllowed: it asks for more than there is in reach.
    """
    if reach is None:
        return
    from batcher.adapters.system.reach_guards import check_address

    _granted(spec, reach)
    if reads:
        check_address(spec.input, reach.sources, verb="read", flag="--allow-source")
    if output is not None:
        check_address(output, reach.destinations, verb="write", flag="--allow-destination")


def _environment(granted: Granted) -> Mapping[str, str]:
    """Where a job's variables are read."""
    return os.environ if granted.signed else {}


def check_connection(spec: JobSpec, *, settings: Settings, reach: Reach | None = None) -> None:
    """Refuse a job that could not be sent from here.

    Raises:
        UsageError: the environment lacks what it names, or has what cannot be used.
        NotAllowed: it asks for more than there is in reach.
    """
    granted = _granted(spec, reach)
    spec = granted.spec
    if spec.via == "replay":
        from batcher.adapters.providers.recording import open_replay

        open_replay(settings.replay).close()
        return
    from batcher.adapters.providers.credential import read_credential

    read_credential(spec, _environment(granted))
    if not spec.simulate:
        from batcher.adapters.providers import proxy  # urllib.request takes a while to import

        proxy.proxy_for(spec.base_url)
        if spec.base_url.startswith("https:"):
            proxy.check_authorities(os.environ)
    import_meanwhile("batcher.adapters.providers.http")
