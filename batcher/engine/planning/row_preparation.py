"""Rows with their pieces: rendered, looked up, counted, and cut where they are too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batcher.core.errors import RowError
from batcher.core.job.fingerprint import content
from batcher.core.kind import BoundKind, Overlong
from batcher.core.limits import RequestLimits
from batcher.core.model import BadRow, InputRow
from batcher.core.row.asked import OwnRequest
from batcher.core.row.parameters import row_cap, row_parameters_bytes
from batcher.engine.planning.attaching import Attaching, content_parts
from batcher.engine.planning.planned_row import PlannedRow
from batcher.engine.planning.rendering import Rendering
from batcher.engine.planning.token_count import TokenCount
from batcher.ports import AskedRow, CallNeeded, ReuseLookup, Tokenizer


class ReuseQuestions:
    """Asks which rows need no call."""

    def __init__(self, reuse: ReuseLookup, *, row_ids: bool, max_input_tokens: int) -> None:
        """``row_ids``: row numbers serve as ids."""
        self._reuse = reuse
        self._row_ids = row_ids
        self._max_input_tokens = max_input_tokens

    def ask(self, planned: Sequence[PlannedRow]) -> None:
        """Say of each row whether its result is there already, and what it was before if not."""
        entries = [entry for entry in planned if not entry.bad]
        asked = [
            AskedRow(
                entry.number if self._row_ids else entry.id, entry.content, bool(entry.prompts)
            )
            for entry in entries
        ]
        for entry, answer in zip(entries, self._reuse.decide(asked), strict=True):
            if isinstance(answer, CallNeeded):
                entry.before = answer
            elif max(answer.tokens) > self._max_input_tokens:
                entry.before = CallNeeded.CHANGED  # too long by now, and cut or refused like others
            else:
                entry.reuse(answer)


class PieceCutter:
    """Counts the tokens of rows, and does with over-long ones what their kind says."""

    def __init__(self, bound: BoundKind, tokenizer: Tokenizer, limits: RequestLimits) -> None:
        self._overlong = bound.overlong
        self._tokenizer = tokenizer
        self._count = TokenCount(bound, tokenizer)
        self._max_input_tokens = limits.max_input_tokens
        self._limits = limits

    def cut(self, rows: Sequence[PlannedRow]) -> None:
        """Make pieces of rows that have one prompt each."""
        counts = self._count.of([row.prompts[0] for row in rows])
        for row, count in zip(rows, counts, strict=True):
            row.tokens = [count]
            if row.own.tokens:
                count += row.own.tokens
                row.tokens = [count]
            if count > self._max_input_tokens:
                self._shorten(row, count)
            if row.own.parameters is not None:
                self._check_room(row)

    def _check_room(self, row: PlannedRow) -> None:
        """A row whose own cap leaves no room for its text in the model's context fails."""
        context, cap = self._limits.context_tokens, row_cap(row.own.parameters)
        if context is None or cap is None or not row.tokens:
            return
        prompt = max(row.tokens) + self._limits.fixed_tokens
        if prompt + cap > context:
            row.fail(
                "input_too_long",
                f"the row has {prompt} tokens, and its answer may have {cap}; the model has room "
                f"for {context} in all",
            )

    def _shorten(self, row: PlannedRow, count: int) -> None:
        limit = self._max_input_tokens
        if self._overlong is Overlong.ERROR:
            row.fail("input_too_long", f"the row has {count} tokens; at most {limit} are allowed")
            return
        (text,) = row.prompts[0]
        added = self._count.added + row.own.tokens
        if added >= limit:
            row.fail("input_too_long", f"the row's attachments have {row.own.tokens} tokens")
            return
        chunks = self._tokenizer.chunks(text, limit - added)
        if self._overlong is Overlong.TRUNCATE:
            chunks = chunks[:1]
        kept = [chunk for chunk in chunks if text[chunk[0] : chunk[1]].strip()]
        row.prompts = [(text[start:end],) for start, end, _ in kept]
        row.tokens = [tokens + added for _, _, tokens in kept]
        row.spans = [(start, end) for start, end, _ in kept]


class RowPreparation:
    """Makes planned rows of input rows, a batch at a time."""

    def __init__(
        self,
        rendering: Rendering,
        cutter: PieceCutter,
        questions: ReuseQuestions | None,
        recipe: bytes,
        attaching: Attaching | None = None,
    ) -> None:
        """``recipe`` is what contents are hashed under; ``attaching`` is for rows with files."""
        self._rendering = rendering
        self._cutter = cutter
        self._questions = questions
        self._recipe = recipe
        self._attaching = attaching

    def prepare(self, batch: Sequence[InputRow | BadRow]) -> list[PlannedRow]:
        """The rows with their pieces, or with the reason why they have none."""
        planned = [self._render(row) for row in batch]
        if self._attaching is not None:
            self._attaching.attach(planned)
            for entry in planned:
                if entry.prompts:
                    entry.content = content(self._recipe, entry.prompts[0], content_parts(entry))
        if self._questions is not None:
            self._questions.ask(planned)
        self._cutter.cut([entry for entry in planned if entry.prompts and entry.place is None])
        return planned

    def stop(self) -> None:
        """End what is being rendered, from any thread, and render no more."""
        self._rendering.stop()
        if self._attaching is not None:
            self._attaching.stop()

    def _render(self, row: InputRow | BadRow) -> PlannedRow:
        """The row with its texts, or with the reason why it has none."""
        if isinstance(row, BadRow):
            entry = PlannedRow(row.number, row.id, None)
            entry.bad = True
            return entry.fail(row.code, row.message)
        entry = PlannedRow(row.number, row.id, row.record, row.arrow)
        try:
            prompt, blank = self._rendering.render(row.record)
        except RowError as error:
            return entry.fail(error.code, str(error))
        try:
            if self._rendering.has_parameters:
                self._take_parameters(entry, row.record)
                entry.content = content(self._recipe, prompt, content_parts(entry))
            else:
                entry.content = content(self._recipe, prompt)
        except RowError as error:
            return entry.fail(error.code, str(error))
        except UnicodeEncodeError:
            return entry.fail(
                "not_unicode", "the row's text has half of a surrogate pair, which cannot be sent"
            )
        if blank:
            return entry.fail("empty_input", "the row's text is empty")
        entry.prompts = [prompt]
        return entry

    def _take_parameters(self, entry: PlannedRow, record: Mapping[str, Any]) -> None:
        """Give the row what its request has of parameters.

        Raises:
            RowError: they are not right.
            UnicodeEncodeError: a text of them has half of a surrogate pair.
        """
        parameters = self._rendering.parameters(record)
        if parameters is not None:
            entry.own = OwnRequest(parameters, row_parameters_bytes(parameters))
