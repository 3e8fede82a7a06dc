"""Whether a socket holds bytes that nobody has read yet, asked before every request.

``select`` and ``recv`` let go of the interpreter while they ask, and another thread that computes
may then keep it for 5 ms (``sys.getswitchinterval``). The C library's own ``recv``, called without
letting go, takes a microsecond.
"""

from __future__ import annotations

import ctypes
import errno
import select
import socket
from collections.abc import Callable

_NOTHING = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)
_PEEK = getattr(socket, "MSG_DONTWAIT", 0) | socket.MSG_PEEK


def _c_recv() -> Callable[[int, int, int, int], int] | None:
    """The C library's ``recv``; None where it cannot be told not to wait."""
    if not hasattr(socket, "MSG_DONTWAIT"):
        return None
    try:
        recv = ctypes.PyDLL(None, use_errno=True).recv
    except (OSError, AttributeError):
        return None
    recv.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    recv.restype = ctypes.c_ssize_t
    return recv


_RECV = _c_recv()
_BYTE = ctypes.create_string_buffer(1)
_ADDRESS = ctypes.addressof(_BYTE)


def has_bytes(descriptor: int) -> bool:
    """Whether a connected socket can be read at once: bytes, the end of the stream, or an error."""
    if _RECV is not None:
        return _RECV(descriptor, _ADDRESS, 1, _PEEK) >= 0 or ctypes.get_errno() not in _NOTHING
    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
