"""The whole database: what a store implements, and what is handed to whoever opens one."""

from __future__ import annotations

from typing import Protocol

from batcher.ports.deliveries import DeliveryStore
from batcher.ports.fleet import FleetStore
from batcher.ports.orders import OrderStore
from batcher.ports.schedules import ScheduleStore
from batcher.ports.store.jobs import JobStore
from batcher.ports.store.shards import ShardStore


class Room(Protocol):
    """The place where a database lies."""

    def room_bytes(self) -> int | None:
        """How much may still be written where it lies; None where that is not known here.

        Does not wait for the database.
        """
        ...


class Store(
    JobStore, ShardStore, FleetStore, OrderStore, ScheduleStore, DeliveryStore, Room, Protocol
):
    """The whole database."""

    async def close(self) -> None:
        """Release connections; idempotent."""
        ...
