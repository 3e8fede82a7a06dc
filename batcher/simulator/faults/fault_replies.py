"""The answers of all status faults by name, each as some real provider or proxy gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from batcher.simulator.faults import azure_faults, openai_faults, server_faults
from batcher.simulator.faults.fault_context import FaultContext, StatusFault
from batcher.simulator.replies import Reply

STATUS_REPLIES: Final[Mapping[str, StatusFault]] = {
    **openai_faults.REPLIES,
    **azure_faults.REPLIES,
    **server_faults.REPLIES,
}


def fault_reply(name: str, context: FaultContext) -> Reply:
    """Return the answer of the status fault `name`."""
    return STATUS_REPLIES[name].reply(context)
