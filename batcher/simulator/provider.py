"""The provider behind the HTTP: what it admits, what it charges, and what it works on.

Synchronous throughout. The server hands in bytes and the time; it gets back `Work` to
deliver when the latency is over, or `Refused` with the answer to send now.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from batcher.simulator.config import SimulatorConfig
from batcher.simulator.faults.due import (
    CHAT_FAULTS,
    CONNECTION_FAULTS,
    EMBEDDINGS_FAULTS,
    RESULT_FAULTS,
    STATUS_FAULTS,
    DueFault,
    Faults,
)
from batcher.simulator.faults.fault_context import FaultContext
from batcher.simulator.faults.fault_replies import fault_reply
from batcher.simulator.kept import REPLAYED, KeptAnswers
from batcher.simulator.limits import Limiter
from batcher.simulator.replies import Refused, overloaded, rate_limited, unauthorized
from batcher.simulator.requests.calls import CountTokens, read_body
from batcher.simulator.requests.chat_call import ChatCall, read_chat
from batcher.simulator.requests.embeddings_call import EmbeddingsCall, read_embeddings
from batcher.simulator.results.answers import ChatAnswer, chat_answer, embeddings_body
from batcher.simulator.stats import Stats

Endpoint = Literal["embeddings", "chat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and in which way: the keys that were sent, and what Azure's path says."""

    key: str | None
    idempotency_key: str | None = None
    azure: bool = False
    deployment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A request that was admitted, is billed and has to be answered."""

    call: EmbeddingsCall | ChatCall
    headers: Mapping[str, str]
    """The limits as they stood at admission."""
    charged: int
    due: tuple[DueFault, ...]
    answer: ChatAnswer | None
    latency_seconds: float

    @property
    def fault(self) -> str | None:
        """The fault that concerns the connection or the whole body, if one does."""
        return next((f.name for f in self.due if f.name not in RESULT_FAULTS), None)


def without_fault(work: Work) -> Work:
    """The same, from a gateway that has the whole answer: its connection fails no more."""
    due = tuple(fault for fault in work.due if fault.name not in CONNECTION_FAULTS)
    used = work.call.prompt_tokens + (work.answer.completion_tokens if work.answer else 0)
    return replace(work, due=due, charged=used)


class Provider:
    """The state of one simulated provider."""

    def __init__(
        self, config: SimulatorConfig, count_tokens: CountTokens, wall: Callable[[], float]
    ) -> None:
        """`wall` is the time since 1970, for answers that name a date."""
        self.config = config
        self.stats = Stats()
        self._count_tokens = count_tokens
        self._wall = wall
        self._limiters: dict[str, Limiter] = {}
        self._start_over()

    def __repr__(self) -> str:
        return f"<Provider {len(self._limiters)} models, {self.stats!r}>"

    def accept(self, endpoint: Endpoint, raw: bytes, caller: Caller, now: float) -> Work:
        """Validate, admit and begin to work; raises `Refused` where one of these fails."""
        self.authorize(caller)
        name = caller.idempotency_key if self.config.idempotency else None
        kept = self._kept.find(name, raw)
        if kept is not None:
            self.stats.replayed(len(kept.call.identities()))
            return replace(kept, headers={**kept.headers, REPLAYED: "true"})
        work = self._accept(endpoint, raw, caller, now)
        self._kept.keep(name, raw, work)
        return work

    def _accept(self, endpoint: Endpoint, raw: bytes, caller: Caller, now: float) -> Work:
        body, model = read_body(raw, caller.deployment, azure=caller.azure)
        limiter = self._limiter(model, now)
        try:
            call: EmbeddingsCall | ChatCall
            effective: Collection[str]
            if endpoint == "embeddings":
                call = read_embeddings(body, model, self.config, self._count_tokens)
                effective = EMBEDDINGS_FAULTS
            else:
                call = read_chat(body, model, self.config, self._count_tokens)
                effective = CHAT_FAULTS
            return self._begin(call, effective, limiter, caller, now)
        except Refused as refusal:
            headers = {**self._limit_headers(limiter, now), **refusal.reply.headers}
            raise Refused(replace(refusal.reply, headers=headers)) from None

    def authorize(self, caller: Caller) -> None:
        """Raise `Refused` in an outage or for a wrong key."""
        if self.config.outage == "503":
            raise Refused(overloaded())
        if self.config.api_key is not None and caller.key != self.config.api_key:
            raise Refused(unauthorized(caller.key, azure=caller.azure))

    def deliver(self, work: Work, now: float, created: int) -> bytes:
        """Return the body of an answer, and settle what was charged with what was used."""
        if work.answer is None:
            assert isinstance(work.call, EmbeddingsCall)
            return embeddings_body(work.call, work.due, stated=self.config.usage)
        if self.config.charge == "usage":
            used = work.call.prompt_tokens + work.answer.completion_tokens
            self._limiter(work.call.model, now).charge(used - work.charged, now)
            self.stats.tokens_charged += used - work.charged
        return work.answer.body(created)

    def configure(self, changes: Mapping[str, Any], now: float) -> None:
        """Change settings while running; raises `ValueError` and changes nothing if one is bad."""
        config = self.config = self.config.changed(changes)
        for limiter in self._limiters.values():
            limiter.change(
                config.rpm,
                config.tpm,
                config.limit_seconds,
                now,
                shape=config.limit_shape,
                unit=config.limit_unit,
            )

    def reset(self) -> None:
        """Forget counts, faults seen and what was charged; settings stay."""
        self.stats.reset()
        self._limiters.clear()
        self._start_over()

    def _start_over(self) -> None:
        self._faults = Faults(self.config.seed)
        self._random = Random(self.config.seed + 1)
        self._kept: KeptAnswers[Work] = KeptAnswers(without_fault)

    def _begin(
        self,
        call: EmbeddingsCall | ChatCall,
        effective: Collection[str],
        limiter: Limiter,
        caller: Caller,
        now: float,
    ) -> Work:
        cost = call.charge(azure=caller.azure)
        rejection = limiter.admit(cost, now)
        if rejection is not None:
            self.stats.rate_limited += 1
            raise Refused(rate_limited(rejection, call.model, azure=caller.azure))
        answer = None
        try:
            due = self._due_faults(call, effective, caller)
            if isinstance(call, ChatCall):
                answer = chat_answer(call, self.config, {f.name for f in due})
        except Refused as refusal:
            if refusal.reply.status < 500:
                limiter.charge(-cost, now, requests=-1)
            else:
                self.stats.tokens_charged += cost
            raise
        self.stats.tokens_charged += cost
        self.stats.served(
            call.identities(),
            call.tokens if isinstance(call, EmbeddingsCall) else (call.prompt_tokens,),
            0 if answer is None else answer.completion_tokens,
        )
        if answer is not None:
            billing = answer.billing
            self.stats.billed(billing.cached, billing.written, billing.reasoning, billing.tier)
        return Work(
            call=call,
            headers=self._limit_headers(limiter, now),
            charged=cost,
            due=due,
            answer=answer,
            latency_seconds=self._latency_seconds(),
        )

    def _due_faults(
        self, call: EmbeddingsCall | ChatCall, effective: Collection[str], caller: Caller
    ) -> tuple[DueFault, ...]:
        texts = call.texts
        due = self._faults.due(texts, self.config, effective)
        for fault in due:
            self.stats.faults[fault.name] += 1
            if fault.name in STATUS_FAULTS:
                context = FaultContext(
                    model=call.model,
                    param="input" if isinstance(call, EmbeddingsCall) else "messages",
                    text=texts[fault.index],
                    key=caller.key,
                    azure=caller.azure,
                    wall=self._wall(),
                )
                raise Refused(fault_reply(fault.name, context))
        return tuple(due)

    def _limiter(self, model: str, now: float) -> Limiter:
        limiter = self._limiters.get(model)
        if limiter is None:
            config = self.config
            limiter = Limiter(
                config.rpm,
                config.tpm,
                config.limit_seconds,
                now,
                shape=config.limit_shape,
                unit=config.limit_unit,
                age=config.window_age,
            )
            self._limiters[model] = limiter
        return limiter

    def _limit_headers(self, limiter: Limiter, now: float) -> dict[str, str]:
        return limiter.headers(now) if self.config.rate_limit_headers else {}

    def _latency_seconds(self) -> float:
        mean, sigma = self.config.latency_ms / 1000, self.config.latency_spread
        if mean and sigma:
            # The mean of a lognormal is exp(mu + sigma^2 / 2).
            return mean * math.exp(sigma * self._random.gauss() - sigma * sigma / 2)
        return mean
