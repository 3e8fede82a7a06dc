"""Every error of the product, split by whose fault it is.

The class says who has to act and carries the exit code; the message says what to do next. Adapters
translate foreign exceptions into these at the edge. No message ever holds a key, a prompt or the
content of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class BatcherError(Exception):
    """The root of all errors raised on purpose; ``exit_code`` is what the command line returns."""

    exit_code: ClassVar[int] = 1


class UsageError(BatcherError):
    """The command, the specification or the configuration is wrong; nothing was sent."""

    exit_code = 2


class NotAllowed(BatcherError):
    """A job asks a worker for what its operator did not allow; another worker may be allowed to."""

    exit_code = 2


class KindNotHere(UsageError):
    """A kind that is missing, broken or of another version here; elsewhere it may not be."""


class InputError(BatcherError):
    """The input file is at fault: where, what was expected, what to do."""

    exit_code = 2

    def __init__(self, message: str, *, source: str, line: int | None = None) -> None:
        """``source`` names the file; ``line`` is its 1-based physical line, where one is known."""
        place = source if line is None else f"{source}:{line}"
        super().__init__(f"{place}: {message}")
        self.source = source
        self.line = line


class MissingColumn(InputError):
    """A column that the options of the job's kind name is not there."""

    def __init__(
        self, message: str, *, source: str, line: int | None = None, present: Sequence[str] = ()
    ) -> None:
        """``present`` are the columns that there are, the likeliest first; empty if not known."""
        super().__init__(message, source=source, line=line)
        self.message = message
        self.present = tuple(present)

    def advised(self, advice: str) -> MissingColumn:
        """The same, and what the kind of job has to say about it."""
        return MissingColumn(
            f"{self.message}; {advice}", source=self.source, line=self.line, present=self.present
        )


class OutputTaken(UsageError):
    """At the path of an output stands what nobody says is this job's; it is left alone."""


class RowsWithoutResult(BatcherError):
    """Every row's result was asked for, and some rows have none."""

    exit_code = 3


class JobInUse(BatcherError):
    """Another process is running the job."""

    exit_code = 2


class StoreError(BatcherError):
    """The database cannot be used as it is: unreachable, of another version, or out of space."""

    exit_code = 1


class UnusableStore(StoreError):
    """What was named as the database is none, or may not be used: name another."""

    exit_code = 2


class NoDatabase(UnusableStore):
    """There is no database where one is to be looked at."""


class OutputError(BatcherError):
    """An output could not be written to its end: the disk is full, or a reader has gone."""

    exit_code = 1


class DamagedStore(StoreError):
    """What stands in the database is not what was written."""


class IllegalTransition(BatcherError):
    """The job's state does not allow what was asked."""

    exit_code = 2


class KindFailed(BatcherError):
    """The package of a job kind raised what it must not, or returned nonsense.

    What is done stays; the job goes on once the package is mended. Only the type of what was raised
    is said: its text might quote a row.
    """

    exit_code = 1

    def __init__(self, kind: str, what: str) -> None:
        """``what`` the kind did, as a clause."""
        super().__init__(
            f"the kind {kind!r} {what}: that is a bug in its package; once it is fixed, the "
            "same command goes on"
        )

    @classmethod
    def raised(cls, kind: str, verb: str, error: Exception) -> KindFailed:
        """One of its verbs raised an exception that nobody may expect."""
        return cls(kind, f"cannot go on, its {verb} raised {type(error).__name__}")


class PlanFailed(BatcherError):
    """A job's input and options make no plan: what is wrong with them together."""

    exit_code = 2


class TransportError(BatcherError):
    """A request got no whole answer.

    ``maybe_billed`` is true where the provider may have done the work all the same: a timeout or a
    connection lost after the request was written. A refused connection is not billed. ``lasting``
    says what to do about a cause that no waiting mends, and is empty for others. ``final`` where
    another try would end in the same way.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        maybe_billed: bool,
        lasting: str = "",
        final: bool = False,
    ) -> None:
        """``code`` is one of ``connect``, ``timeout``, ``disconnect``, ``answer_too_large``."""
        super().__init__(message)
        self.final = final
        self.code = code
        self.maybe_billed = maybe_billed
        self.lasting = lasting


class RowError(Exception):
    """One row cannot be sent; it becomes a dead letter with this code and message.

    Not a :class:`BatcherError`: it never reaches the user as an exception. Raised by a kind's
    ``render``; the message must not quote the row.
    """

    def __init__(self, code: str, message: str) -> None:
        """``code`` is a short snake_case reason, as listed in the errors file."""
        super().__init__(message)
        self.code = code


class RowOverBudget(RowError):
    """A row's template does or makes more than any row's may.

    One such row is a dead letter; where the first ones of a job are all so, it is the template.
    """

    def __init__(self, message: str) -> None:
        """``message`` is for the errors file; it must not quote the row."""
        super().__init__("template_error", message)
