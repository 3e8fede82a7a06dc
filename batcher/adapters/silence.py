"""A doorbell for where there is none."""

from __future__ import annotations


class SilentDoorbell:
    """Where there is no Redis: workers find jobs by looking."""

    async def ring(self, job_id: str) -> None:
        """See :meth:`batcher.ports.Doorbell.ring`."""
