"""Ports for servers that cannot say which one they took."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port of loopback that nobody listens on, at least not yet."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
