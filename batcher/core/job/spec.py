"""The description of a job: what a command line, a job file and the Python API all become.

Pure data with its checks. It names a credential (the environment variable), never holds one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Literal, get_type_hints

from batcher.core.errors import UsageError
from batcher.core.job.description_parts import ProviderPart
from batcher.core.money.prices import Price
from batcher.core.options import flag
from batcher.core.text import exactjson

_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_NAME = re.compile(r"\S(?:[^\x00-\x1f\x7f]{0,98}\S)?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_REFERENCE = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One kind of work over one input.

    Attributes:
        kind: the job kind (``embed``, ``classify``, ``chat``, or one that a package adds).
        input: path of the input, or ``-`` for standard input.
        model: the model's name as the provider knows it.
        options: the kind's own options (``text``, ``labels``, ``prompt``, …).
        name: what the job and its like are called, run after run.
        since_last: send only rows that are new or changed since the last complete job of that name.
        id: the column that identifies a row; row numbers otherwise.
        format: ``csv``, ``json``, ``jsonl`` or ``parquet`` where the input's name does not say it.
        delimiter: what separates CSV fields; guessed otherwise.
        encoding: that of a text input; UTF-8 otherwise, or what it is guessed to be.
        limit: only the first so many rows.
        provider: one that is configured by name, which says all of the next four and more.
        base_url: where the API is, up to and including ``/v1``; OpenAI's, whatever the environment
            says, which only commands and :func:`batcher.run` look at.
        api_version: Azure OpenAI's ``api-version``; requests then go to the deployment ``model``.
        api_key_env: the environment variable that holds the key.
        headers: more HTTP headers; ``$NAME`` in a value is read from the environment.
        params: more parameters for every request body.
        timeout: seconds for one request, answer included.
        idempotency_header: the header that carries each request's idempotency key, or ``off``.
        max_answer_bytes: the largest answer that is read, decompressed; otherwise what was asked
            for could take at the most.
        rpm, tpm: ceilings of requests and tokens a minute, where the provider states none or more.
        concurrency: requests in flight at most.
        priority: ``high``, ``normal`` or ``low``, against other jobs that share the limit.
        max_cost: dollars that the job may cost at most.
        price: ``IN,OUT`` dollars per million tokens, for models of unknown price; also
            ``IN,OUT,CACHED,WRITTEN`` where reads from the cache and writes to it cost otherwise.
        service_tier: ``auto``, ``default``, ``flex`` or ``priority``: what the provider is asked
            for. It says how fast an answer comes and what it costs, not what it holds.
        cost_columns: add what each record cost to the output.
        tokenizer: a tiktoken encoding, where the model's is not known.
        max_inputs, max_request_tokens, max_input_tokens: a server's own limits per request.
        on_error: ``keep`` going at a failed row, or ``stop`` at the first.
        on_bad_row: ``stop`` before anything is sent, or ``skip`` (failed rows).
        outage_timeout: seconds without any success after which the job pauses.
        grace_seconds: how long requests in flight may take to settle when stopping.
        max_input_bytes: the most that is copied of an input that can be read only once.
        keep_input: keep the input's columns for CSV and Parquet output.
        simulate: send to a built-in simulated provider instead.
        via: how requests get their answers: ``online`` from the provider, or ``replay`` from a file
            of recorded ones, which whoever runs the job names.

    Raises:
        UsageError: a value is out of its range.
    """

    kind: str
    input: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # prompts among them
    name: str | None = None
    since_last: bool = False
    id: str | None = None
    format: Literal["csv", "json", "jsonl", "parquet"] | None = None
    delimiter: str | None = None
    encoding: str | None = None
    limit: int | None = None
    provider: str | None = None
    base_url: str = "https://api.openai.com/v1"
    api_version: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 600.0
    idempotency_header: str = "Idempotency-Key"
    max_answer_bytes: int | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int = 100
    priority: Literal["high", "normal", "low"] = "normal"
    max_cost: Decimal | None = None
    price: str | None = None
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    cost_columns: bool = False
    tokenizer: str | None = None
    max_inputs: int | None = None
    max_request_tokens: int | None = None
    max_input_tokens: int | None = None
    on_error: Literal["keep", "stop"] = "keep"
    on_bad_row: Literal["stop", "skip"] = "stop"
    outage_timeout: float = 900.0
    grace_seconds: float = 10.0
    max_input_bytes: int | None = None
    keep_input: bool = True
    simulate: bool = False
    via: Literal["online", "replay"] = "online"

    def __post_init__(self) -> None:
        """Check every value that can be judged alone."""
        for name in _TYPES:
            object.__setattr__(self, name, _coerce(name, getattr(self, name)))
        if missing := sorted(name for name in _REQUIRED if not getattr(self, name)):
            raise UsageError(f"missing setting: {', '.join(missing)}")
        if "\0" in self.input:
            raise UsageError(f"the input {self.input!r} holds a NUL character, which no path may")
        self._check_amounts()
        object.__setattr__(self, "params", _plain_params(self.params))
        options = {
            name: list(value) if isinstance(value, tuple) else _path_text(value)
            for name, value in self.options.items()
        }
        object.__setattr__(self, "options", options)
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                listed = ", ".join(choice for choice in allowed if choice)
                raise UsageError(f"{flag(name)} is one of {listed}, not {value!r}")
        if self.price is not None:
            Price.parse(self.price)
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise UsageError(
                f"--name is up to 100 characters on one line, without blanks around: {self.name!r}"
            )
        if not _HEADER.fullmatch(self.idempotency_header):
            raise UsageError(
                f"--idempotency-header is the name of a header, or off: {self.idempotency_header!r}"
            )
        self._check_request()

    def _check_amounts(self) -> None:
        """Check that numbers are in their ranges."""
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{flag(name)} must be more than 0, not {value}")
            most = _MOST_DOLLARS if name == "max_cost" else _MOST
            if value is not None and value > most:
                raise UsageError(f"{flag(name)} must be at most {most}")
        if not 0 <= self.grace_seconds <= _MOST:
            raise UsageError(
                f"--grace-seconds is a number of seconds from 0 on, not {self.grace_seconds}"
            )

    def _check_request(self) -> None:
        """Check what goes with every request."""
        if self.params.get("stream"):
            raise UsageError("--param stream: answers are read whole, so leave it out")
        for header, value in self.headers.items():
            if _SECRET_HEADER.search(header) and not _REFERENCE.search(value):
                raise UsageError(
                    f"--header {header} looks like a credential; put it into the environment and "
                    f"name it there, as in --header '{header}: $MY_SECRET'"
                )

    @property
    def answers_from(self) -> str:
        """Whose answers the results are made of: a base URL, or what stands in for one."""
        return ProviderPart.of(self).answers_from

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; :meth:`from_json` gives the same spec back."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain["options"] = dict(self.options)
        plain["headers"] = dict(self.headers)
        plain["params"] = dict(self.params)
        plain["max_cost"] = None if self.max_cost is None else str(self.max_cost)
        if self.provider is None:
            del plain["provider"]  # which earlier versions do not know
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> JobSpec:
        """A spec from plain values, such as a job file's.

        Raises:
            UsageError: a key is unknown or missing, or a value has the wrong type.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(plain) - names):
            raise UsageError(f"unknown setting: {', '.join(unknown)}")
        if missing := sorted(_REQUIRED - {k for k, v in plain.items() if v}):
            raise UsageError(f"missing setting: {', '.join(missing)}")
        return cls(**plain)


_REQUIRED = frozenset({"kind", "input", "model"})
_MOST = 2**63 - 1
_MOST_DOLLARS = 9_000_000
"""What a whole number of picodollars holds in 64 bits."""
_POSITIVE = (
    "limit", "timeout", "rpm", "tpm", "concurrency", "max_cost", "max_inputs",
    "max_request_tokens", "max_input_tokens", "outage_timeout", "max_answer_bytes",
    "max_input_bytes",
)  # fmt: skip
_CHOICES: Mapping[str, tuple[str | None, ...]] = {
    "format": ("csv", "json", "jsonl", "parquet", None),
    "on_error": ("keep", "stop"),
    "on_bad_row": ("stop", "skip"),
    "via": ("online", "replay"),
    "priority": ("high", "normal", "low"),
    "service_tier": ("auto", "default", "flex", "priority", None),
}


def _coerce(name: str, value: Any) -> Any:
    """Accept what TOML, JSON and Python can say for a field; refuse what would only fail later.

    None is the default, where it is no value.
    """
    if value is None:
        return None if name not in _DEFAULTS else _DEFAULTS[name]()
    if name == "headers":
        return _texts(name, value)
    if name == "input":
        value = _path_text(value)
    if name == "max_cost":
        return _amount(value)
    wanted = _WANTED[name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise UsageError(f"{flag(name)} is {_CALLED[wanted[-1]]}, not {value!r}")
    return value


def _texts(name: str, values: Any) -> dict[str, str]:
    """A table of texts, where a number may be written as one; values are never quoted."""
    if not isinstance(values, Mapping):
        raise UsageError(f"{flag(name)} is {_CALLED[Mapping]}, not of type {type(values).__name__}")
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UsageError(f"the value of --header {key} is not text: put it in quotes")
    return {str(key): str(value) for key, value in values.items()}


def _path_text(value: Any) -> Any:
    """A path object as the text of its path; anything else as it is."""
    return value.__fspath__() if hasattr(value, "__fspath__") else value


def _plain_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as JSON holds them, with all digits that they have."""
    plain = {}
    for name, value in params.items():
        if not isinstance(name, str):
            raise UsageError(f"--param: the name of a parameter must be text, not {name!r}")
        try:
            plain[name] = exactjson.plain(value)
        except (ValueError, RecursionError) as error:
            what = "is nested too deep" if isinstance(error, RecursionError) else f"holds {error}"
            raise UsageError(f"--param {name} cannot be sent: it {what}") from error
    return plain


def _amount(value: Any) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise UsageError(f"--max-cost is an amount in dollars, not {value!r}")
    return amount


def _wanted(kind: str) -> tuple[type, ...]:
    """What is a value of a field with this annotation."""
    if "Mapping" in kind:
        return (Mapping,)
    if "bool" in kind:
        return (bool,)
    if "float" in kind:
        return (int, float)
    return (int,) if "int" in kind else (str,)


_CALLED: Mapping[type, str] = {
    Mapping: "a table of names and values",
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "a text",
}
_TYPES = get_type_hints(JobSpec)
_WANTED = {name: _wanted(str(kind)) for name, kind in _TYPES.items()}
_DEFAULTS: Mapping[str, Callable[[], Any]] = {
    f.name: f.default_factory
    if f.default_factory is not dataclasses.MISSING
    else partial(getattr, f, "default")
    for f in dataclasses.fields(JobSpec)
    if f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
}
