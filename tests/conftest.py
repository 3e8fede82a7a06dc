"""Real servers that tests anywhere may ask for; each starts when it is first asked for."""

from hypothesis import HealthCheck, settings

from tests.servers.postgres import database, postgres
from tests.servers.valkey import valkey

__all__ = ["database", "postgres", "valkey"]

# How long an example takes is the machine's affair: a busy one would fail what is right.
settings.register_profile("gate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gate")
