"""Providers by name: what ``[providers.NAME]`` of ``batcher.toml`` says, and jobs that choose one.

Pure: who reads the file, and who looks into the environment, is elsewhere. A provider names the
variables of its credential, and never holds one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Self

from batcher.core.errors import UsageError
from batcher.core.job.description_parts import ProviderPart
from batcher.core.job.spec import JobSpec
from batcher.core.job.urls import check_base_url

DEFAULT = "default"
"""The provider of those who configure none: where the environment says that the API is."""
ROUTES = ("online", "flex")
"""How a provider may be asked: as usual, and by the service tier that is cheaper and slower."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LIMITS = ("rpm", "tpm", "max_inputs", "max_request_tokens", "max_input_tokens")
_OWN = ("base_url", "api_version", "api_key_env", "headers")
"""What says where a provider is, and what is sent to it to be let in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """One provider.

    Attributes:
        name: what jobs call it by.
        base_url: where its API is.
        api_version: Azure OpenAI's api-version.
        api_key_env: the environment variable with the key.
        headers: more headers; ``$NAME`` in a value is read from the environment.
        rpm, tpm: requests and tokens a minute at most.
        max_inputs, max_request_tokens, max_input_tokens: its limits of one request.
        price: ``IN,OUT`` dollars per million tokens, of models that ``prices`` does not name.
        prices: the same by model.
        models: which models jobs may ask for, as names or as patterns with ``*``; all if empty.
        routes: how it may be asked (:data:`ROUTES`).

    Raises:
        UsageError: a value is out of its range.
    """

    name: str
    base_url: str = "https://api.openai.com/v1"
    api_version: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    headers: Mapping[str, str] = field(default_factory=dict)
    rpm: int | None = None
    tpm: int | None = None
    max_inputs: int | None = None
    max_request_tokens: int | None = None
    max_input_tokens: int | None = None
    price: str | None = None
    prices: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    routes: tuple[str, ...] = ROUTES

    def __post_init__(self) -> None:
        """Check what a job's own settings are checked for, and the rest."""
        if not NAME.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} is not a name for a provider: use letters, digits, and ._- after "
                "the first"
            )
        try:
            object.__setattr__(self, "headers", self._as_spec("any").headers)  # as texts
            for model in self.prices:
                self._as_spec(model)
            check_base_url(self.base_url)
        except UsageError as error:
            raise UsageError(f"the provider {self.name}: {error}") from error
        for route in self.routes:
            if route not in ROUTES:
                raise UsageError(
                    f"the provider {self.name}: routes are {', '.join(ROUTES)}, not {route!r}"
                )

    @classmethod
    def of_table(cls, name: str, table: Any) -> Self:
        """What a table of a file says.

        Raises:
            UsageError: it is none, or it says something that no provider has.
        """
        if not isinstance(table, Mapping):
            raise UsageError(f"[providers.{name}] is a table")
        known = [each.name for each in dataclasses.fields(cls) if each.name != "name"]
        for key in table:
            if key not in known:
                close = get_close_matches(key, known, 1)
                hint = f": did you mean {close[0]}?" if close else f": there are {', '.join(known)}"
                raise UsageError(f"[providers.{name}] has no setting {key!r}{hint}")
        values = dict(table)
        for key in ("models", "routes"):
            if key in values:
                values[key] = _texts(name, key, values[key])
        prices = values.get("prices", {})
        if not isinstance(prices, Mapping) or not all(isinstance(p, str) for p in prices.values()):
            raise UsageError(f'[providers.{name}]: prices is a table of model = "IN,OUT"')
        return cls(name=name, **values)

    def fill(self, spec: JobSpec) -> JobSpec:
        """A job of this provider, with all that it says of itself.

        Raises:
            UsageError: the provider does not allow the job, or the job says otherwise.
        """
        mine = self._as_spec(spec.model)
        for name in _OWN:
            theirs, usual = getattr(spec, name), getattr(_USUAL, name)
            if theirs not in (usual, getattr(mine, name)):
                shown = f" ({self.base_url})" if name == "base_url" else ""
                raise UsageError(
                    f"--provider {self.name} and --{_FLAGS.get(name, name.replace('_', '-'))} "
                    f"contradict each other{shown}: leave one out"
                )
        if reason := self.why_not(spec):
            raise UsageError(reason)
        limits = {
            name: getattr(mine if getattr(spec, name) is None else spec, name)
            for name in (*_LIMITS, "price")
        }
        own = {name: getattr(mine, name) for name in _OWN}
        return dataclasses.replace(spec, provider=self.name, **own, **limits)

    def why_not(self, spec: JobSpec) -> str:
        """Why a job of this provider is not allowed; empty where it is."""
        if spec.simulate or spec.via != "online":
            return ""
        if self.models and not any(fnmatchcase(spec.model, each) for each in self.models):
            return (
                f"the provider {self.name} is not to be asked for the model {spec.model}: its "
                f"models are {', '.join(self.models)}"
            )
        route = "flex" if spec.service_tier == "flex" else "online"
        if route not in self.routes:
            return (
                f"the provider {self.name} is not to be asked on the route {route}: its routes "
                f"are {', '.join(self.routes) or 'none'}"
            )
        return ""

    def is_of(self, part: ProviderPart) -> bool:
        """Whether a job's own words mean this provider, with this credential."""
        return self.is_at(part) and (part.api_key_env, dict(part.headers)) == (
            self.api_key_env,
            dict(self.headers),
        )

    def is_at(self, part: ProviderPart) -> bool:
        """Whether a job's own words mean this place."""
        here, there = self.base_url.rstrip("/"), part.base_url.rstrip("/")
        return (here, self.api_version) == (there, part.api_version)

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it; of headers only what they are called."""
        plain = dataclasses.asdict(self)
        return plain | {"headers": list(self.headers), "prices": dict(self.prices)}

    def _as_spec(self, model: str) -> JobSpec:
        """A job that says all of this itself, which is checked as such."""
        return JobSpec(
            kind="any",
            input="any",
            model=model,
            base_url=self.base_url,
            api_version=self.api_version,
            api_key_env=self.api_key_env,
            headers=self.headers,
            price=self.prices.get(model, self.price),
            **{name: getattr(self, name) for name in _LIMITS},
        )


def chosen(providers: Mapping[str, ProviderConfig], spec: JobSpec) -> JobSpec:
    """A job with all that the provider which it names says of itself.

    Raises:
        UsageError: there is no such provider, or it does not allow the job.
    """
    if spec.provider is None:
        return spec
    provider = providers.get(spec.provider)
    if provider is None:
        raise UsageError(
            f"no provider {spec.provider!r}: there are {', '.join(sorted(providers))}; "
            f"[providers.{spec.provider}] in batcher.toml would be one"
        )
    return provider.fill(spec)


def _texts(name: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError(f"[providers.{name}]: {key} is a list of texts")
    return tuple(value)


_FLAGS = {"headers": "header"}
_USUAL = JobSpec(kind="any", input="any", model="any")
