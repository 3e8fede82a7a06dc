"""Several jobs, each with its workers, on one quota, in virtual time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from batcher.core.throttle.concurrency import ConcurrencyWindow
from batcher.core.throttle.quota import QuotaState
from batcher.core.throttle.sharing import WEIGHTS, Flow
from tests.simulated.client import Client, Network
from tests.simulated.provider import ReferenceProvider, Request, World


@dataclass
class Job:
    """A job that arrives at a time with so much work, split evenly among its workers."""

    name: str
    work: Sequence[Request]
    priority: str = "normal"
    arrives: float = 0.0
    workers: int = 1
    concurrency: int = 100
    network: Network = field(default_factory=Network)
    clients: list[Client] = field(default_factory=list)

    @property
    def finished(self) -> float:
        """Seconds from its arrival to its last answer."""
        return max(client.finished_at for client in self.clients) - 1000.0 - self.arrives

    @property
    def sent(self) -> list[int]:
        """Requests sent, by worker."""
        return [client.sent for client in self.clients]


class Crowd:
    """Jobs at one provider."""

    def __init__(
        self,
        provider: ReferenceProvider,
        jobs: Sequence[Job],
        *,
        seed: int = 0,
        quota: QuotaState | None = None,
    ) -> None:
        self.world = World()
        self.provider = provider
        self.quota = quota or QuotaState()
        self.jobs = list(jobs)
        for number, job in enumerate(jobs):
            for worker in range(job.workers):
                client = Client(
                    world=self.world,
                    provider=provider,
                    quota=self.quota,
                    network=job.network,
                    random=Random(f"{seed} {number} {worker}"),
                    work=deque(job.work[worker :: job.workers]),
                    window=ConcurrencyWindow(job.concurrency),
                    flow=Flow(job.name, WEIGHTS[job.priority], str(worker)),
                )
                job.clients.append(client)
                self.world.at(self.world.now + job.arrives, client.step)

    def run(self, seconds: float, done: Callable[[], bool] = lambda: False) -> float:
        """Go on for so long, or until it is done; returns how long it went on."""
        started = self.world.now
        while self.world.now < started + seconds and not done():
            self.world.run(min(self.world.now + 0.5, started + seconds))
        return self.world.now - started


def finish(crowd: Crowd, job: Job, seconds: float = 3600) -> float:
    """Run until a job's work is all answered; returns its time since it arrived."""
    crowd.run(seconds, lambda: all(not (c.work or c.held or c.in_flight) for c in job.clients))
    assert not any(c.work for c in job.clients), "it starves"
    return job.finished
