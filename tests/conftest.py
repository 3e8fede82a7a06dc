"""Real servers that tests anywhere may ask for; each starts when it is first asked for."""

from tests.servers.postgres import database, postgres

__all__ = ["database", "postgres"]
