"""Real servers that tests anywhere may ask for; each starts when it is first asked for."""

from tests.servers.postgres import database, postgres
from tests.servers.valkey import valkey

__all__ = ["database", "postgres", "valkey"]
