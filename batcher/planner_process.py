"""The process that plans a job for another one.

It reads a :class:`batcher.ports.planning.PlanTask` from standard input, says that it is ready,
reads where to begin, and writes lists of planned shards to standard output until all rows are
planned; then a tuple of the input's hash. It ends without a word at any
fault, and when nobody reads. The other side is :mod:`batcher.adapters.system.planner_process`.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
from contextlib import ExitStack
from typing import BinaryIO

from batcher.adapters.providers.tokenizer import open_tokenizer
from batcher.adapters.sources import open_source
from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.adapters.system.planner_process import READY
from batcher.adapters.system.private_files import STATE_DIRECTORY
from batcher.adapters.system.row_guard import ThreadGuard
from batcher.engine.opening.binding import bind_version
from batcher.engine.planning.plan_writer import BYTES_AT_ONCE, ROWS_AT_ONCE
from batcher.engine.planning.planner import Cursor, RowRules, make_planner
from batcher.engine.planning.shard_in_making import ShardForm
from batcher.ports.planning import PlanTask


def main() -> None:
    """Plan what standard input says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr  # what a kind prints must not come between
    task: PlanTask = pickle.load(sys.stdin.buffer)  # noqa: S301  # from the process that began this
    spec = task.spec
    with ExitStack() as stack:
        source = stack.enter_context(
            open_source(
                spec.input,
                format=spec.format,
                delimiter=spec.delimiter,
                encoding=spec.encoding,
                spool_dir=STATE_DIRECTORY / "spool",
                max_bytes=spec.max_input_bytes,
            )
        )
        source.take_checked(task.checked)
        bound = bind_version(InstalledKinds(), spec, task.files, task.kind_version)
        tokenizer = open_tokenizer(spec.model, spec.tokenizer)
        tokenizer.count(["a text, so that everything is there"])
        reuse = None if task.lookup is None else stack.enter_context(task.lookup.opened())
        gc.freeze()
        out.write(READY)
        out.flush()
        try:
            next_row, next_shard = pickle.load(sys.stdin.buffer)  # noqa: S301
        except EOFError:
            return  # it was not needed
        rules = RowRules(
            bound=bound,
            kind=spec.kind,
            tokenizer=tokenizer,
            limits=task.limits,
            recipe=task.recipe,
        )
        planner = make_planner(
            source,
            rules,
            ShardForm.of(spec, bound, arrow=task.keep_arrow),
            cursor=Cursor(next_row, next_shard),
            rows=task.rows,
            reuse=reuse,
            guard=ThreadGuard(),
        )
        while shards := planner.next_shards(ROWS_AT_ONCE, BYTES_AT_ONCE):
            _say(out, list(shards))
        _say(out, (planner.input_sha256,))


def _say(out: BinaryIO, value: object) -> None:
    pickle.dump(value, out, protocol=pickle.HIGHEST_PROTOCOL)
    out.flush()


if __name__ == "__main__":
    main()
