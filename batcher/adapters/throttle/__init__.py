"""Throttles: in the memory of one process, or in a Redis that many share.

- :mod:`.ceilings`: The user's ceilings of a process: of all jobs that run here on a quota, the
  lowest.
- :mod:`.conveyor`: Operations on one quota, in order, as many in one call of the script as have
  gathered meanwhile.
- :mod:`.memory`: The throttle of one process: :class:`batcher.core.throttle.quota.QuotaState`
  behind the port.
- :mod:`.redis`: The throttle that many processes share: its state is in Redis, its arithmetic in
  `quota.lua`.
- :mod:`.timing`: Two clocks: Redis's, by which tickets are granted, and this process's, by which
  they are used.
- :mod:`.wire`: What goes to the script in Redis and what comes back: letters and packed doubles.
"""

from batcher.adapters.throttle.memory import MemoryThrottle

__all__ = ["MemoryThrottle"]
