"""Label tickets and embed them from Python, against a simulated provider: no key, no network.

    python examples/api.py

Leave ``simulate=True`` out, and it is the real thing: the key is read from OPENAI_API_KEY.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

import batcher

HERE = Path(__file__).parent
TICKETS = str(HERE / "tickets.csv")


def label(output: str) -> batcher.Report:
    """One label for each ticket, into a file. Run it again after any end: it goes on."""
    spec = batcher.JobSpec(
        kind="classify",
        input=TICKETS,
        model="gpt-6-luna",
        id="id",
        options={"text": "body", "labels_file": str(HERE / "labels.txt")},
        simulate=True,
    )
    return batcher.run(spec, output=output)


async def embed() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """One vector for each ticket, without a file."""
    spec = batcher.JobSpec(
        kind="embed",
        input=TICKETS,
        model="text-embedding-3-small",
        id="id",
        options={"template": "{subject}: {body}", "dimensions": 256},
        simulate=True,
    )
    async with batcher.open_runner() as runner:
        estimate = await runner.estimate(spec)
        print(f"{estimate.prompt_tokens} tokens in {estimate.requests} requests")
        report = await runner.run(spec)
        vectors = [result.vector async for result in runner.results(report.job)]
    return np.array(vectors, dtype=np.float32)


def main() -> None:
    report = label("labelled.jsonl")
    print(f"{report.rows_done} labels in {report.output}, for ${report.cost_usd}")
    vectors = asyncio.run(embed())
    print(f"vectors of shape {vectors.shape}")


if __name__ == "__main__":
    main()
