"""Throttles: in the memory of one process, or in a Redis that many share."""

from batcher.adapters.throttle.memory import MemoryThrottle

__all__ = ["MemoryThrottle"]
