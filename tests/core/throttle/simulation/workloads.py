"""What the simulations send, and how slow the wire is."""

from __future__ import annotations

from random import Random

from tests.simulated.provider import Request

SEEDS = range(4)
LATENCIES = [0.05, 0.3]


def alike(count: int) -> list[Request]:
    return [Request(cost=20, used=20)] * count


def mixed(tokens: int, seed: int, *, share: float = 1.0, by_usage: bool = False) -> list[Request]:
    """Requests of 100 to 600 tokens, of which about a share is used, up to a total charge."""
    random = Random(seed)
    requests = []
    while tokens > 0:
        cost = random.randint(100, 600)
        used = cost if share == 1 else min(cost, int(cost * share * random.uniform(0.7, 1.3)))
        requests.append(Request(cost=cost, used=used))
        tokens -= used if by_usage else cost
    return requests
