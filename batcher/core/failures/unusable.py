"""When answers that are paid for give no result so regularly that none will.

An answer without a result costs as much as any other, and is asked for again. One is a row's own
affair or chance; but where the first answers of a job are all so, the next ones will be, too, and
where several answers in a row are wrong as a whole, whatever they hold, no row is at fault. Then
it is time to stop and say so.
"""

from __future__ import annotations

from collections.abc import Hashable

FIRST_ANSWERS = 20
FIRST_BROKEN = 10
FEWEST_REQUESTS = 5
WHOLE_IN_A_ROW = 6


class UnusableAnswers:
    """Answers without a result: the first ones of a job, and the last ones in a row."""

    def __init__(self, *, had_result: bool) -> None:
        """``had_result`` is whether any answer of the job has given a result before."""
        self.had_result = had_result
        self._answers = 0
        self._broken = 0
        self._whole = 0
        self._requests: set[Hashable] = set()

    def __repr__(self) -> str:
        """How many there were."""
        first = "" if self.had_result else f", {self._answers} first"
        return f"<UnusableAnswers {self._whole} whole in a row{first}>"

    def result(self) -> None:
        """An answer gave a result."""
        self.had_result = True
        self._whole = 0
        self._requests.clear()

    def invalid(self) -> bool:
        """An answer broke its schema; returns whether the job should stop."""
        self._whole = 0
        return self._count()

    def broken(self, request: Hashable, *, whole: bool) -> bool:
        """An answer to a request held nothing usable; returns whether the job should stop.

        ``whole`` where that is so whatever its pieces are.
        """
        self._whole = self._whole + 1 if whole else 0
        if self._whole >= WHOLE_IN_A_ROW:
            return True
        self._broken += 1
        if not self.had_result:
            self._requests.add(request)
        return self._count() or (
            self._broken >= FIRST_BROKEN and len(self._requests) >= FEWEST_REQUESTS
        )

    def _count(self) -> bool:
        self._answers += 1
        return not self.had_result and self._answers >= FIRST_ANSWERS
