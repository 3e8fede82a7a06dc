"""What stands in for the things that a page's reader has: a model's server, Azure, a fleet's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from batcher.simulator import SimulatorConfig
from scripts.servers.postgres import postgres_server
from scripts.servers.valkey import valkey_server
from tests.cli.provider import provider
from tests.servers.ports import free_port

LOCAL = "localhost:8000"
AZURE = "https://my-resource.openai.azure.com"
POSTGRES = "postgresql://batcher@db.internal/batcher"
REDIS = "redis://queue.internal:6379/0"


@contextmanager
def stand_ins(page: str) -> Iterator[Mapping[str, str]]:
    """By the names that the page has for them."""
    with ExitStack() as stack:
        names = {"8080": str(free_port())}
        if page == "local-server":
            running = stack.enter_context(provider(SimulatorConfig(rate_limit_headers=False)))
            names[f"http://{LOCAL}/v1"] = running.base_url
        if page == "azure":
            running = stack.enter_context(provider())
            names[AZURE] = running.base_url.removesuffix("/v1")
        if page == "fleet":
            server = stack.enter_context(postgres_server())
            names[POSTGRES] = server.url(server.database())
            names[REDIS] = stack.enter_context(valkey_server()).url
        yield names
