"""A Valkey and a Postgres on loopback, from wheels: for tests and for scripts/fleet.

They need no installation, no root and no configuration, and end with whoever started them.
"""
