"""A bar of tqdm's, for those who have it and are used to it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from batcher.cli.figures import money
from batcher.core.errors import UsageError
from batcher.core.text.inert import inert

if TYPE_CHECKING:
    from batcher.cli.screen.gauge import Reading


class TqdmScreen:
    """Rows as tqdm shows them, and their cost; see :class:`batcher.cli.screen.screens.Screen`."""

    seconds = 0.25

    def __init__(self) -> None:
        """Import tqdm.

        Raises:
            UsageError: it is not installed.
        """
        try:
            from tqdm.auto import tqdm
        except ImportError as exc:
            raise UsageError(
                "--progress tqdm needs the package tqdm, which is not installed: "
                "`pip install tqdm`, or --progress rich or plain"
            ) from exc
        self._tqdm: Any = tqdm
        self._bar: Any = None

    def waiting(self, activity: str, elapsed: float) -> None:
        """Nothing: there are no rows yet."""

    def show(self, reading: Reading) -> None:
        """See :class:`batcher.cli.screen.screens.Screen`."""
        settled = reading.done + reading.failed
        if self._bar is None:
            self._bar = self._tqdm(
                total=reading.rows, initial=settled, unit="row", file=sys.stderr, dynamic_ncols=True
            )
        self._bar.total = reading.rows
        self._bar.set_description_str(reading.phase, refresh=False)
        said: dict[str, Any] = {"failed": reading.failed} if reading.failed else {}
        if reading.cost is not None:
            said["cost"] = money(reading.cost)
        self._bar.set_postfix(said, refresh=False)
        self._bar.update(settled - self._bar.n)

    def say(self, text: str) -> None:
        """See :class:`batcher.cli.screen.screens.Screen`."""
        self._tqdm.write(inert(text), file=sys.stderr)

    def close(self) -> None:
        """See :class:`batcher.cli.screen.screens.Screen`."""
        if self._bar is not None:
            self._bar.close()
