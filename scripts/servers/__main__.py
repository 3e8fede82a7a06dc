"""Run a command beside a Valkey and a Postgres of its own: ``python -m scripts.servers COMMAND``.

The command finds them by BATCHER_REDIS_URL and BATCHER_DATABASE_URL. Signals are passed on to it,
and to what it started; the servers end after it, and in any case with this process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from scripts.servers.postgres import NoBinary, postgres_server
from scripts.servers.valkey import valkey_server

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(command: list[str]) -> int:
    """The command's exit code, as a shell would say it."""
    if not command:
        print("usage: python -m scripts.servers COMMAND [ARGUMENTS]", file=sys.stderr)
        return 2
    asked: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: object) -> None:
        del frame
        asked.append(number)
        if child is not None:
            os.killpg(child.pid, number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    try:
        with valkey_server() as valkey, postgres_server() as postgres:
            if asked:
                return 128 + asked[0]
            urls = {
                "BATCHER_REDIS_URL": valkey.url,
                "BATCHER_DATABASE_URL": postgres.url(postgres.database()),
            }
            child = subprocess.Popen(command, env=os.environ | urls, process_group=0)
            code = child.wait()
    except NoBinary as missing:
        print(f"servers: {missing}", file=sys.stderr)
        return 1
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
