"""The least that can be done with aiohttp: the same bodies, sent by 100 workers, nothing kept.

Chat answers are parsed and dropped. Vectors are decoded and written to a flat file, since a client
that keeps none of them does less than the task.
"""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
import numpy as np
import orjson
import pybase64
import uvloop

WORKERS = 100


def chat_bodies(path: Path, model: str) -> Iterator[dict[str, Any]]:
    """One request a row."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield {"messages": [{"role": "user", "content": row["text"]}], "model": model}


def embeddings_bodies(path: Path, model: str, inputs: int) -> Iterator[dict[str, Any]]:
    """One request for so many rows."""
    texts: list[str] = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            texts.append(row["text"])
            if len(texts) == inputs:
                yield {"input": texts, "encoding_format": "base64", "model": model}
                texts = []
    if texts:
        yield {"input": texts, "encoding_format": "base64", "model": model}


async def work(
    session: aiohttp.ClientSession, url: str, bodies: Iterator[dict[str, Any]], vectors: BinaryIO
) -> None:
    """Send until there is nothing left."""
    for body in bodies:
        async with session.post(url, data=orjson.dumps(body)) as response:
            answer = orjson.loads(await response.read())
        for item in answer.get("data", ()):
            vector = np.frombuffer(pybase64.b64decode(item["embedding"]), dtype="<f4")
            vectors.write(vector.data)


async def main(kind: str, path: Path, base_url: str, model: str, inputs: int) -> None:
    """Send a whole file."""
    if kind == "chat":
        bodies, place = chat_bodies(path, model), "/chat/completions"
    else:
        bodies, place = embeddings_bodies(path, model, inputs), "/embeddings"
    connector = aiohttp.TCPConnector(limit=WORKERS)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer benchmark"}
    with Path("vectors.f32").open("wb") as vectors:  # noqa: ASYNC230  # that is the point
        async with (
            aiohttp.ClientSession(connector=connector, headers=headers) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(WORKERS):
                tasks.create_task(work(session, base_url + place, bodies, vectors))


if __name__ == "__main__":
    _, kind, path, base_url, model, inputs = sys.argv
    uvloop.run(main(kind, Path(path), base_url, model, int(inputs)))
