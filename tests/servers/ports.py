"""Ports for servers that cannot say which one they took."""

from scripts.servers.ports import free_port

__all__ = ["free_port"]
