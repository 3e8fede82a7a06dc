"""From a spec to a job that can be run: bind, check the input, take its fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from urllib.parse import urlsplit

from batcher.core.answerbound import THINKING_TOKENS, Unbounded, thinks
from batcher.core.errors import BatcherError, KindFailed, KindNotHere, MissingColumn, UsageError
from batcher.core.job.description import Description
from batcher.core.job.fingerprint import fingerprint, recipe
from batcher.core.job.spec import JobSpec
from batcher.core.kind import (
    BoundKind,
    Kind,
    Overlong,
    Shape,
    TextFile,
    earlier_versions,
    has_free_output,
    shape_of,
)
from batcher.core.kind_optional import (
    BoundsAnswers,
    NamesColumns,
    NotesColumns,
    SeesParameters,
    VersionsItself,
)
from batcher.core.limits import ModelFacts, RequestLimits, request_limits
from batcher.core.model import InputFacts, Job, JobState, Learned
from batcher.core.money.prices import Price, picodollars
from batcher.core.text import exactjson
from batcher.engine.planning.planner import Cursor, Planner, RowRules, make_planner
from batcher.engine.planning.shard_in_making import ShardForm
from batcher.engine.planning.token_count import TokenCount
from batcher.engine.requests.output_limits import output_limit
from batcher.engine.requests.parts import RequestParts, make_requests
from batcher.ports import (
    AttachmentFiles,
    InputSource,
    KindRegistry,
    ReuseLookup,
    RowGuard,
    Tokenizer,
)

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: sorts as it counts
_RESERVED_PARAMS = frozenset({"model", "input", "messages", "stream", "n"})


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A spec with its kind bound and its model looked up; nothing is read of the input yet.

    ``files`` are what the kind's options name, by option; ``attachments`` those that rows may
    name, None where the kind attaches none.
    """

    spec: JobSpec
    kind_version: int
    kind: BoundKind
    price: Price | None
    limits: RequestLimits
    tokenizer: Tokenizer
    files: Mapping[str, TextFile] = field(default_factory=dict)
    attachments: AttachmentFiles | None = None

    @property
    def shape(self) -> Shape:
        """How results are kept."""
        return shape_of(self.kind.fields)

    @property
    def description(self) -> Description:
        """What the store keeps of it."""
        return Description.of(self.spec, self.kind, self.kind_version, self.files, self.recipe)

    @property
    def recipe(self) -> str:
        """What makes a row's result besides the row."""
        spec, cut = self.spec, self.kind.overlong is not Overlong.ERROR
        return recipe(
            kind=spec.kind,
            kind_version=self.kind_version,
            identity=self.kind.identity,
            model=spec.model,
            base_url=spec.answers_from,
            api_version=spec.api_version,
            parameters=spec.params,
            cutting=[self.tokenizer.name, self.limits.max_input_tokens] if cut else None,
        )

    @property
    def budget_picousd(self) -> int | None:
        """The job's budget."""
        return None if self.spec.max_cost is None else picodollars(self.spec.max_cost)

    def check(self, source: InputSource) -> InputFacts:
        """One pass over the whole input, in a thread.

        Raises:
            InputError: see :meth:`batcher.ports.InputSource.check`.
        """
        try:
            return source.check(
                id_column=self.spec.id,
                columns=self.kind.columns,
                skip_bad=self.spec.on_bad_row == "skip",
            )
        except MissingColumn as error:
            if isinstance(self.kind, NamesColumns) and (
                advice := self.kind.how_to_name(error.present)
            ):
                raise error.advised(advice) from error
            raise

    def notes_on(self, columns: Sequence[str]) -> Sequence[str]:
        """What is to be said of the job, with an input of these columns, before it is sent."""
        notes = [*self.kind.notes_on(columns)] if isinstance(self.kind, NotesColumns) else []
        if (self.spec.max_inputs or 0) > (most := self.limits.max_inputs):
            carries = "one row" if most == 1 else f"{most:,} rows at most"
            notes.append(f"--max-inputs: a request of {self.spec.kind} carries {carries}")
        if self.spec.max_cost is not None and (cap := self.answer_cap) is not None:
            thinking = f", with {THINKING_TOKENS:,} of thinking" if self.thinks else ""
            notes.append(
                f"each answer may have {cap:,} tokens, by {self.answer_bound[1]}{thinking}; "
                "--max-tokens gives it another limit"
            )
        return notes

    @cached_property
    def answer_bound(self) -> tuple[int | None, str]:
        """The most tokens that an answer has by its form, and by what; or None, and why not."""
        try:
            bound = self.kind.longest_answer() if isinstance(self.kind, BoundsAnswers) else None
        except Unbounded as error:
            return None, str(error)
        return (None, "") if bound is None else (bound.tokens(self.tokenizer.count), bound.by)

    @property
    def thinks(self) -> bool:
        """Whether the model may reason before it answers, which no form of the answer bounds."""
        return thinks(self.spec.model, self.spec.params)

    @property
    def answer_cap(self) -> int | None:
        """The limit that an answer is given where a budget needs one and nobody has said it."""
        bound, _ = self.answer_bound
        if bound is None or output_limit(self.kind, self.spec.params) is not None:
            return None
        return bound + (THINKING_TOKENS if self.thinks else 0)

    def check_taken_up(self, job: Job) -> None:
        """Refuse to go on with a job that has not kept what is asked of its records now.

        Raises:
            UsageError: it was begun without ``cost_columns``.
        """
        if self.spec.cost_columns and not job.description.work.cost_columns:
            raise UsageError(
                f"--cost-columns: job {job.id} was begun without it, and what each of its rows "
                "cost was not kept: leave it out to go on, or start again with --fresh"
            )

    def requests(
        self,
        learned: Learned,
        *,
        charges_prompt_too: bool,
        capped: bool = False,
    ) -> RequestParts:
        """How the job's calls become requests; ``capped``: a budget needs answers to be bounded.

        ``charges_prompt_too`` is Azure's rule.
        """
        parts = make_requests(
            self.kind,
            self.spec,
            learned,
            price=self.price,
            charges_prompt_too=charges_prompt_too,
            cap=self.answer_cap if capped else None,
            fixed_tokens=self.limits.fixed_tokens,
        )
        if self.attachments is not None:
            parts.builder.attach(self.attachments)
        return parts

    def planner(
        self,
        source: InputSource,
        rows: int,
        job: Job,
        reuse: ReuseLookup | None = None,
        guard: RowGuard | None = None,
    ) -> Planner:
        """The rest of the job's plan, from its cursor on; ``reuse``: which rows need no call."""
        rules = RowRules(
            bound=self.kind,
            kind=self.spec.kind,
            tokenizer=self.tokenizer,
            limits=self.limits,
            recipe=job.description.recipe,
            attachments=self.attachments,
        )
        return make_planner(
            source,
            rules,
            ShardForm.of(self.spec, self.kind, arrow=job.facts.arrow_schema is not None),
            cursor=Cursor(job.plan_row, job.plan_shard),
            rows=rows,
            reuse=reuse,
            guard=guard,
        )

    def fingerprint(self, facts: InputFacts) -> str:
        """What makes it the same job as another."""
        spec = self.spec
        return fingerprint(
            kind=spec.kind,
            kind_version=self.kind_version,
            identity=self.kind.identity,
            model=spec.model,
            base_url=spec.answers_from,
            tokenizer=self.tokenizer.name,
            parameters=spec.params,
            selection={
                "id": spec.id,
                "columns": list(facts.columns),
                "delimiter": spec.delimiter,
                "limit": spec.limit,
                "api_version": spec.api_version,
                "max_inputs": spec.max_inputs,
                "max_request_tokens": spec.max_request_tokens,
                "max_input_tokens": spec.max_input_tokens,
                **({} if spec.encoding is None else {"encoding": spec.encoding}),
            },
            input_sha256=facts.sha256,
        )


def _check_numbers(spec: JobSpec) -> None:
    """Refuse numbers that JSON may write and hardly anybody can read: servers take them for inf."""
    for name, value in spec.params.items():
        if exactjson.holds_too_much(value):
            raise UsageError(
                f"--param {name} holds a number that is too large: at most 1.8e308 can be sent"
            )


def bind(
    spec: JobSpec,
    *,
    kind: Kind,
    facts_of: Callable[[str], ModelFacts],
    tokenizer: Tokenizer,
    files: Mapping[str, TextFile],
) -> Bound:
    """Check all of a spec that can be checked without reading the input.

    ``facts_of`` tells of the spec's model at an endpoint; ``files`` are those of
    :func:`batcher.engine.opening.option_texts.read_files`.

    Raises:
        UsageError: an option is wrong, or the budget cannot be kept.
    """
    bound = _bind(kind, spec, files)
    if forbidden := _RESERVED_PARAMS & set(spec.params):
        raise UsageError(f"--param {min(forbidden)} is set by batcher itself")
    _check_numbers(spec)
    _check_tier(spec, bound.endpoint)
    model_facts = facts_of(bound.endpoint)
    price = model_facts.price if spec.price is None else _said_price(spec.price, bound.endpoint)
    result = Bound(
        spec=spec,
        kind_version=bound.version if isinstance(bound, VersionsItself) else kind.version,
        kind=bound,
        price=price,
        limits=request_limits(
            bound,
            fixed_tokens=TokenCount(bound, tokenizer).fixed if bound.packs else 0,
            context_tokens=model_facts.context_tokens,
            max_inputs=spec.max_inputs,
            max_request_tokens=spec.max_request_tokens,
            max_input_tokens=spec.max_input_tokens,
        ),
        tokenizer=tokenizer,
        files=files,
    )
    if spec.max_cost is not None:
        _check_budget(result)
    return result


def bind_version(
    kinds: KindRegistry, spec: JobSpec, files: Mapping[str, TextFile], version: int
) -> BoundKind:
    """The kind of a spec with its options, as a version of it means them.

    Raises:
        KindNotHere: that version is not installed.
    """
    kind = kinds.get(spec.kind)
    for one in (kind, *earlier_versions(kind)):
        bound = _bind(one, spec, files)
        if version == (bound.version if isinstance(bound, VersionsItself) else one.version):
            return bound
    raise KindNotHere(f"the kind {spec.kind} is not here in version {version}")


def _bind(kind: Kind, spec: JobSpec, files: Mapping[str, TextFile]) -> BoundKind:
    """The kind with its options; whatever it raises but a complaint of them is its own fault."""
    try:
        bound = kind.bind({**spec.options, **files})
        return bound.seeing(spec.params) if isinstance(bound, SeesParameters) else bound
    except BatcherError:
        raise
    except Exception as error:
        raise KindFailed.raised(spec.kind, "bind", error) from error


def new_job(bound: Bound, facts: InputFacts, *, now: datetime, noise: int, version: str) -> Job:
    """The job that the store opens, or finds to be there already."""
    return Job(
        id=job_id(int(now.timestamp()), noise),
        fingerprint=bound.fingerprint(facts),
        generation=1,
        description=bound.description,
        facts=facts,
        state=JobState.OPEN,
        name=bound.spec.name,
        budget_picousd=bound.budget_picousd,
        created_at=now,
        version=version,
    )


def job_id(seconds: int, noise: int) -> str:
    """Ten characters that sort by time: seven for the second, three of chance."""
    number = (seconds << 15) | (noise & 0x7FFF)
    return "".join(_DIGITS[(number >> shift) & 31] for shift in range(45, -1, -5))


def quota_name(spec: JobSpec, family: str, credential_hash: str) -> str:
    """What shares one rate limit: endpoint, credential and model family."""
    place = urlsplit(spec.answers_from).netloc or spec.answers_from
    return f"{place}|{credential_hash}|{family}"


def _said_price(text: str, endpoint: str) -> Price:
    """The price that the user names: of the standard tier, where the endpoint has tiers."""
    price = Price.parse(text)
    if has_free_output(endpoint):
        return replace(price, completion=0)
    return price.with_usual_tiers()


def _check_tier(spec: JobSpec, endpoint: str) -> None:
    if spec.service_tier is None:
        return
    if has_free_output(endpoint):
        raise UsageError(f"--service-tier: {endpoint} has no service tiers")
    if "service_tier" in spec.params:
        raise UsageError(
            "--service-tier and --param service_tier say the same thing: leave one out"
        )


def _check_budget(bound: Bound) -> None:
    if bound.price is None:
        raise UsageError(
            f"--max-cost needs a price, and none is known for {bound.spec.model}: "
            "set it with --price IN,OUT (dollars per million tokens)"
        )
    if bound.answer_cap is None and output_limit(bound.kind, bound.spec.params) is None:
        why = f" ({bound.answer_bound[1]})" if bound.answer_bound[1] else ""
        raise UsageError(f"--max-cost needs a bound on each answer{why}: set it with --max-tokens")
