"""The JSON in the tables' text columns, and rows as values of the core and back.

An event's lists of pieces are mostly runs (a request's pieces are consecutive), so a run is kept
as ``[first, last]`` in place of its numbers; their order is kept.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

from batcher.adapters.store.damage import must_be, reading
from batcher.core.job.description import Description
from batcher.core.model import (
    DeadLetter,
    Doubt,
    InputFacts,
    Job,
    JobState,
    Learned,
    RowId,
    StopCause,
    Usage,
)
from batcher.core.progress import ShardEvent
from batcher.core.text import exactjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import RowMapping

    Row = Mapping[str, Any] | RowMapping

_SHORTEST_RUN = 3


def runs(numbers: Iterable[int]) -> list[int | list[int]]:
    """Numbers in their order, with every ascending run of three or more as ``[first, last]``."""
    packed: list[int | list[int]] = []
    run: list[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            packed.extend(_packed(run))
            run = []
        run.append(number)
    packed.extend(_packed(run))
    return packed


def _packed(run: list[int]) -> Sequence[int | list[int]]:
    return [[run[0], run[-1]]] if len(run) >= _SHORTEST_RUN else run


def numbers(packed: Iterable[int | list[int]]) -> tuple[int, ...]:
    """The reverse of :func:`runs`."""
    flat: list[int] = []
    for item in packed:
        if isinstance(item, int):
            flat.append(item)
        else:
            flat.extend(range(item[0], item[1] + 1))
    return tuple(flat)


def json_text(value: Any) -> str:
    """Compact JSON; what orjson cannot write exactly is such that :func:`json_value` knows it."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return exactjson.marked(value)


def json_value(text: str) -> Any:
    """The reverse of :func:`json_text`."""
    return exactjson.loads(text) if exactjson.is_marked(text) else orjson.loads(text)


def event_text(event: ShardEvent) -> str:
    """An event as compact JSON: what is empty is left out."""
    lists = {"d": event.done, "x": event.dead, "o": event.reopened, "c": event.cuts}
    body: dict[str, Any] = {"f": event.fence}
    body |= {key: runs(pieces) for key, pieces in lists.items() if pieces}
    if event.attempts:
        body["a"] = list(event.attempts.items())
    if event.unproven is not None:
        body["u"] = event.unproven
    if event.doubts:
        body["q"] = list(event.doubts.items())
    return orjson.dumps(body).decode()


@reading("checkpoint")
def event_value(text: str) -> ShardEvent:
    """The reverse of :func:`event_text`."""
    body = orjson.loads(text)
    return ShardEvent(
        fence=body["f"],
        done=numbers(body.get("d", ())),
        dead=numbers(body.get("x", ())),
        reopened=numbers(body.get("o", ())),
        attempts=dict(body.get("a", ())),
        cuts=numbers(body.get("c", ())),
        unproven=body.get("u"),
        doubts={piece: tuple(doubt) for piece, doubt in body.get("q", ())},
    )


def learned_text(learned: Learned) -> str:
    """What was learned, as JSON."""
    return orjson.dumps(
        {
            "renamed": dict(learned.renamed),
            "dropped": sorted(learned.dropped),
            "dimension": learned.dimension,
        }
    ).decode()


def job_row(job: Job) -> dict[str, Any]:
    """A job as the columns of its row."""
    facts = asdict(job.facts)
    return {
        "id": job.id,
        "fingerprint": job.fingerprint,
        "generation": job.generation,
        "spec": json_text(dict(job.description.to_json())),
        "facts": json_text(facts),
        "state": job.state.value,
        "cause": job.cause,
        "reason": storable(job.reason) if job.reason is not None else None,
        "resume_at": job.resume_at,
        "planned": job.planned,
        "plan_row": job.plan_row,
        "plan_shard": job.plan_shard,
        "budget_picousd": job.budget_picousd,
        "learned": learned_text(job.learned),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "version": job.version,
        "name": job.name,
        "schedule": job.schedule,
        "plan_tries": job.plan_tries,
        "output": job.output,
        "kind": job.description.work.kind,
    }


@reading("job")
def job_value(row: Row) -> Job:
    """The reverse of :func:`job_row`."""
    must_be(str, row, "id", "fingerprint", "spec", "version")
    must_be(int, row, "generation", "plan_row", "plan_shard", "plan_tries")
    must_be((str, type(None)), row, "reason", "name", "schedule", "output")
    must_be((int, type(None)), row, "budget_picousd")
    facts = json_value(row["facts"])
    must_be(int, facts, "rows", "size_bytes")
    must_be(str, facts, "sha256")
    learned = orjson.loads(row["learned"])
    return Job(
        id=row["id"],
        fingerprint=row["fingerprint"],
        generation=row["generation"],
        description=Description.of_stored(row["id"], json_value(row["spec"])),
        facts=InputFacts(
            rows=facts["rows"],
            sha256=facts["sha256"],
            size_bytes=facts["size_bytes"],
            columns=tuple(facts["columns"]),
            arrow_schema=facts.get("arrow_schema"),
        ),
        state=JobState(row["state"]),
        cause=None if row["cause"] is None else StopCause(row["cause"]),
        reason=row["reason"],
        resume_at=row["resume_at"],
        planned=row["planned"],
        plan_row=row["plan_row"],
        plan_shard=row["plan_shard"],
        budget_picousd=row["budget_picousd"],
        learned=Learned(
            renamed=learned["renamed"],
            dropped=frozenset(learned["dropped"]),
            dimension=learned["dimension"],
        ),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        version=row["version"],
        name=row["name"],
        schedule=row["schedule"],
        plan_tries=row["plan_tries"],
        output=row["output"],
    )


def dead_row(letter: DeadLetter, *, job_id: str, shard_id: int, piece: int) -> dict[str, Any]:
    """A dead letter as the columns of its row."""
    return {
        "job_id": job_id,
        "row_number": letter.row,
        "chunk": letter.chunk,
        "shard_id": shard_id,
        "piece": piece,
        "row_id": exactjson.dumps(letter.id),  # an integer of any length, perhaps
        "code": storable(letter.code),
        "message": storable(letter.message),
        "attempts": letter.attempts,
        "final": letter.final,
    }


@reading("dead_letter")
def dead_value(row: Row) -> DeadLetter:
    """The reverse of :func:`dead_row`."""
    must_be(int, row, "row_number", "chunk", "attempts")
    must_be(str, row, "code", "message")
    row_id: RowId | None = exactjson.loads(row["row_id"])
    return DeadLetter(
        row=row["row_number"],
        chunk=row["chunk"],
        id=row_id,
        code=row["code"],
        message=row["message"],
        attempts=row["attempts"],
        final=row["final"],
    )


def storable(text: str) -> str:
    """Text without what a database refuses: lone surrogates, and NUL (Postgres)."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "")


def counter_row(usage: Usage, doubt: Doubt) -> dict[str, int]:
    """Usage and doubt by the columns of the shard that sum them up."""
    return {
        "answered": usage.requests,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost_picousd": usage.cost_picousd,
        "cached_tokens": usage.cached_tokens,
        "written_tokens": usage.written_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "unstated": usage.unstated,
        "stated_picousd": usage.stated_picousd,
        "doubt_requests": doubt.requests,
        "doubt_pieces": doubt.pieces,
        "doubt_tokens": doubt.tokens,
        "doubt_picousd": doubt.cost_picousd,
        "kept_requests": doubt.kept_requests,
        "kept_pieces": doubt.kept_pieces,
        "kept_tokens": doubt.kept_tokens,
    }


@reading("shard")
def counter_values(row: Mapping[str, int]) -> tuple[Usage, Doubt]:
    """The reverse of :func:`counter_row`; sums may come as decimals."""
    usage = Usage(
        requests=int(row["answered"]),
        prompt_tokens=int(row["prompt_tokens"]),
        completion_tokens=int(row["completion_tokens"]),
        cost_picousd=int(row["cost_picousd"]),
        cached_tokens=int(row["cached_tokens"]),
        written_tokens=int(row["written_tokens"]),
        reasoning_tokens=int(row["reasoning_tokens"]),
        unstated=int(row["unstated"]),
        stated_picousd=int(row["stated_picousd"]),
    )
    doubt = Doubt(
        requests=int(row["doubt_requests"]),
        pieces=int(row["doubt_pieces"]),
        tokens=int(row["doubt_tokens"]),
        cost_picousd=int(row["doubt_picousd"]),
        kept_requests=int(row["kept_requests"]),
        kept_pieces=int(row["kept_pieces"]),
        kept_tokens=int(row["kept_tokens"]),
    )
    return usage, doubt
