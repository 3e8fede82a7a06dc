"""One row's texts, as its kind makes them: within its time, and whatever else it raises told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from batcher.core.errors import KindFailed, PlanFailed, RowError, RowOverBudget
from batcher.core.kind import BoundKind
from batcher.core.kind_optional import AttachesFiles, SetsRowParameters
from batcher.core.model import Prompt
from batcher.core.row.parameters import RowParameters, read_row_parameters
from batcher.ports import GuardStopped, RowGuard, RowOverran

MOST_OVERRUNS = 10
"""So many rows in a row that took too long to render are no chance: the job is not planned on."""
MOST_OVER_BUDGET = 10
"""So many different rows that ask for too much, and none before them that does not, are no chance
either."""


T = TypeVar("T")


class Rendering:
    """What a kind makes of the rows of one job."""

    def __init__(
        self, bound: BoundKind, kind: str, guard: RowGuard, *, any_before: bool = False
    ) -> None:
        """``kind`` is the kind's name; ``guard`` keeps the time of each row.

        ``any_before``: rows of the job were rendered before.
        """
        self._bound = bound
        self._kind = kind
        self._guard = guard
        self._parameters = bound.row_parameters if isinstance(bound, SetsRowParameters) else None
        self._attachments = bound.attachments if isinstance(bound, AttachesFiles) else None
        self._overruns = 0
        self._any_rendered = any_before
        self._over_budget: set[int] = set()

    def render(self, record: Mapping[str, Any]) -> tuple[Prompt, bool]:
        """The row's texts, and whether all of them are blank.

        Raises:
            RowError: the row has none.
            KindFailed: the kind is at fault.
            PlanFailed: this row took too long, and so did all of the last ones; or it asks for too
                much, and so did all of the first ones.
            GuardStopped: nothing more is wanted.
        """
        prompt = self._made("render", self._bound.render, record)
        try:
            blank = not "".join(prompt).strip()
        except TypeError as error:
            raise KindFailed.raised(self._kind, "render", error) from error
        self._any_rendered = True
        return prompt, blank

    @property
    def has_parameters(self) -> bool:
        """Whether rows may have request parameters of their own."""
        return self._parameters is not None

    def parameters(self, record: Mapping[str, Any]) -> RowParameters | None:
        """The request parameters that the row has of its own; None for none.

        Raises:
            RowError, KindFailed, PlanFailed, GuardStopped: see :meth:`render`.
        """
        of_row = self._parameters
        if of_row is None:
            return None
        made = self._made("row_parameters", of_row, record)
        try:
            return read_row_parameters(made)
        except ValueError as error:
            said = f"cannot go on, its row_parameters returned {error}"
            raise KindFailed(self._kind, said) from error

    def attachments(self, record: Mapping[str, Any]) -> tuple[str, ...]:
        """Where the row's files are.

        Raises:
            RowError, KindFailed, PlanFailed, GuardStopped: see :meth:`render`.
        """
        if self._attachments is None:
            return ()
        made = self._made("attachments", self._attachments, record)
        if isinstance(made, str) or not all(isinstance(each, str) for each in made):
            raise KindFailed(self._kind, "cannot go on, its attachments are no list of texts")
        return tuple(made)

    def _made(
        self, step: str, make: Callable[[Mapping[str, Any]], T], record: Mapping[str, Any]
    ) -> T:
        """What the kind makes of a row in one of its steps, within the row's time."""
        try:
            made = self._guard.call(make, record)
        except RowOverBudget as error:
            self._check_budget(record, error)
            raise
        except (RowError, GuardStopped):
            raise
        except RowOverran as error:
            raise self._overran(error.seconds) from error
        except (MemoryError, RecursionError) as error:
            said = f"the row cannot be rendered: {type(error).__name__}"
            raise RowError("template_error", said) from error
        except Exception as error:
            raise KindFailed.raised(self._kind, step, error) from error
        self._overruns = 0
        return made

    def failed(self, step: str, error: Exception) -> KindFailed:
        """The kind raised this in another of its steps."""
        return KindFailed.raised(self._kind, step, error)

    def stop(self) -> None:
        """End what is being rendered, from any thread, and render no more."""
        self._guard.stop()

    def _overran(self, seconds: float) -> RowError | PlanFailed:
        self._overruns += 1
        if self._overruns < MOST_OVERRUNS:
            return RowError("template_error", f"the row took longer than {seconds:g} s to render")
        return PlanFailed(
            f"{MOST_OVERRUNS} rows one after the other took longer than {seconds:g} s each to "
            f"render: the template, or the kind {self._kind!r}, does too much"
        )

    def _check_budget(self, record: Mapping[str, Any], error: RowOverBudget) -> None:
        if self._any_rendered:
            return
        self._over_budget.add(hash(repr(record)))
        if len(self._over_budget) >= MOST_OVER_BUDGET:
            raise PlanFailed(
                f"the first {MOST_OVER_BUDGET} rows all fail in the same way: {error}"
            ) from error
