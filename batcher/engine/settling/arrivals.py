"""What every answer says of the provider, whatever it holds: its pace, and whether it is there."""

from __future__ import annotations

from batcher.core.errors import TransportError
from batcher.core.model import Usage
from batcher.engine.routes.route import Feedback, Sent
from batcher.engine.settling.failing.provider_state import ProviderState
from batcher.engine.settling.failing.verdicts import Verdicts
from batcher.engine.telemetry.run_telemetry import RunTelemetry
from batcher.ports import Reply


class Arrivals:
    """Passes on that answers came, to telemetry, the throttle, and those who wait for a success."""

    def __init__(
        self, telemetry: RunTelemetry, feedback: Feedback, state: ProviderState, verdicts: Verdicts
    ) -> None:
        self._telemetry = telemetry
        self._feedback = feedback
        self._state = state
        self._verdicts = verdicts

    async def arrived(
        self, sent: Sent, reply: Reply, usage: Usage | None = None, *, tells_tokens: bool = False
    ) -> None:
        """A whole answer came; ``usage`` is what a good one says it cost.

        ``tells_tokens``: the throttle may take that for what the request took of the limit.
        """
        self._telemetry.answered(sent.call, sent.at, reply, usage)
        tokens = None
        if tells_tokens and usage is not None:
            tokens = usage.prompt_tokens + usage.completion_tokens
        await self._feedback.observe(sent, reply, tokens)

    def lost(self, sent: Sent, error: TransportError) -> None:
        """No whole answer came."""
        self._telemetry.lost(sent.call, sent.at, error)

    def object_to(self, sent: Sent) -> None:
        """The provider could not serve it: fewer at once, perhaps."""
        self._feedback.object_to(sent)

    def served(self, sent_at: float, *, opens: bool, proves: bool) -> None:
        """The provider is there: it gave a whole answer.

        Args:
            sent_at: when the request left.
            opens: whether more requests may go at once.
            proves: whether such an answer shows that the requests are right as they are.
        """
        if opens:
            self._feedback.succeed()
        self._feedback.resume()
        self._state.succeeded(sent_at)
        if proves:
            self._verdicts.learn_of_success()
