"""A provider that takes no time: prebuilt answers from a bare protocol, in a process of its own.

It parses just enough HTTP to count requests and inputs, so that what is measured is the client. It
prints where it is; ``GET /_stats`` tells what it saw since ``GET /_reset``.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from array import array
from base64 import b64encode
from typing import cast

import uvloop

_DIMENSIONS = 1_536
_END = b"\r\n\r\n"
_LENGTH = b"content-length: "
_BETWEEN_INPUTS = b'","'

# What OpenAI sends along, with limits that never bind.
_HEADERS = """\
date: Thu, 01 Jan 2026 00:00:00 GMT
content-type: application/json
connection: keep-alive
access-control-expose-headers: X-Request-ID
openai-organization: org-benchmark
openai-processing-ms: 1
openai-version: 2020-10-01
x-ratelimit-limit-requests: 60000000
x-ratelimit-limit-tokens: 60000000000
x-ratelimit-remaining-requests: 59999999
x-ratelimit-remaining-tokens: 59999999000
x-ratelimit-reset-requests: 1ms
x-ratelimit-reset-tokens: 1ms
x-request-id: req_0123456789abcdef0123456789abcdef
server: instant
"""


def http(body: bytes) -> bytes:
    """A whole 200 answer."""
    head = "HTTP/1.1 200 OK\n" + _HEADERS + f"content-length: {len(body)}\n\n"
    return head.replace("\n", "\r\n").encode() + body


def chat_answer() -> bytes:
    """The answer to every chat request."""
    message = {"role": "assistant", "content": "The parcel is on its way.", "refusal": None}
    return json.dumps(
        {
            "id": "chatcmpl-0123456789",
            "object": "chat.completion",
            "created": 1_767_225_600,
            "model": "benchmark",
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": 40, "completion_tokens": 7, "total_tokens": 47},
        }
    ).encode()


class Embeddings:
    """Answers to embeddings requests, by their number of inputs."""

    def __init__(self, dimensions: int) -> None:
        chance = random.Random(1)
        vector = array("f", (chance.uniform(-0.05, 0.05) for _ in range(dimensions)))
        self._vector = b64encode(vector.tobytes()).decode()
        self._answers: dict[int, bytes] = {}

    def answer(self, inputs: int) -> bytes:
        """The whole answer for so many inputs."""
        if inputs not in self._answers:
            data = ",".join(
                f'{{"object":"embedding","index":{index},"embedding":"{self._vector}"}}'
                for index in range(inputs)
            )
            usage = f'"usage":{{"prompt_tokens":{15 * inputs},"total_tokens":{15 * inputs}}}'
            body = f'{{"object":"list","data":[{data}],"model":"benchmark",{usage}}}'
            self._answers[inputs] = http(body.encode())
        return self._answers[inputs]


class Seen:
    """What came in since the last reset."""

    def __init__(self) -> None:
        self.requests = 0
        self.inputs = 0
        self.body_bytes = 0
        self.first_at = 0.0
        self.last_at = 0.0

    def count(self, inputs: int, size_bytes: int) -> None:
        """One more request."""
        self.last_at = time.monotonic()
        if not self.requests:
            self.first_at = self.last_at
        self.requests += 1
        self.inputs += inputs
        self.body_bytes += size_bytes


class Connection(asyncio.Protocol):
    """One client; answers each request the moment its last byte is in."""

    seen = Seen()
    chat = http(chat_answer())
    embeddings = Embeddings(_DIMENSIONS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._data = bytearray()
        self._need = 0

    def data_received(self, data: bytes) -> None:
        self._data += data
        while self._data and len(self._data) >= self._need:
            head = self._data.find(_END)
            if head < 0:
                return
            place = self._data[:head].lower().find(_LENGTH)
            length = 0
            if place >= 0:
                start = place + len(_LENGTH)
                length = int(self._data[start : self._data.find(b"\r", start)])
            self._need = head + len(_END) + length
            if len(self._data) < self._need:
                return
            self._transport.write(self._answer(head, length))
            del self._data[: self._need]
            self._need = 0

    def _answer(self, head: int, length: int) -> bytes:
        data = self._data
        if data.startswith(b"GET"):
            return self._control(reset=data.startswith(b"GET /_reset"))
        if data.find(b"/embeddings", 0, 64) < 0:
            self.seen.count(1, length)
            return self.chat
        start = head + len(_END)
        inputs = data.count(_BETWEEN_INPUTS, start, data.index(b'"]', start)) + 1
        self.seen.count(inputs, length)
        return self.embeddings.answer(inputs)

    def _control(self, *, reset: bool) -> bytes:
        answer = http(json.dumps(vars(self.seen)).encode())
        if reset:
            Connection.seen = Seen()
        return answer


async def main(dimensions: int) -> None:
    """Listen until killed."""
    Connection.embeddings = Embeddings(dimensions)
    server = await asyncio.get_running_loop().create_server(
        Connection, "127.0.0.1", 0, backlog=1024
    )
    host, port = server.sockets[0].getsockname()
    print(json.dumps({"base_url": f"http://{host}:{port}/v1"}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else _DIMENSIONS))
