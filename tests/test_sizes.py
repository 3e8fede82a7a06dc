"""How much a class may be given and may hold: what is more has two jobs, or lacks a name.

Records are left out: frozen data classes and named tuples hold values and decide nothing by them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parent.parent / "batcher"
MOST_PARAMETERS = 6
MOST_ATTRIBUTES = 12

EXCEPTIONS = {
    # Values that are written in place, since a copy for each change would cost the hot path.
    "engine.shards.call.Call": "a record of one request in the making; there are many at a time",
    "engine.planning.planned_row.PlannedRow": "a record of one row in the making, many at a time",
    "engine.telemetry.run_stats.RunStats": "the figures of a run, shown as they are",
    "ports.meter.Meter": "the counters of a process, shown as they are",
    # Pure state that is kept as one hash in Redis, and moved by one script there.
    "core.failures.outage.Health": "the state of one provider, built empty",
    "core.throttle.bucket.Bucket": "the state of one limit, as it is kept",
    "core.throttle.quota.QuotaState": "the state of one quota, as it is kept",
    "core.throttle.refusals.Refusals": "the state of one limit's refusals, as it is kept",
    "core.throttle.window_count.WindowCount": "the state of one window, as it is kept",
    "core.throttle.windows.Window": "the state of one window, with what was learned of it",
    "core.progress.ShardProgress": "a fold over events, built empty",
    # The tables, the simulator's counters, and what others build upon.
    "adapters.store.sql.models.JobRow": "a table",
    "adapters.store.sql.models.ShardRow": "a table",
    "adapters.store.sql.models.OrderRow": "a table",
    "adapters.store.sql.models.DeliveryRow": "a table",
    "adapters.store.memory.jobs.Shard": "a table's row in memory",
    "simulator.stats.Stats": "counters, shown as they are",
    "simulator.limits.Limiter": "the simulator's limits, by its options",
    "cli.options.setting.Setting": "a declaration, read by the command line alone",
    "kinds.base.BaseKind": "defaults that a kind overrides, as class attributes",
    # One thing each, though not a small one.
    "adapters.sources.file_source.FileSource": "a file, and how it is read",
    "engine.fleet.worker.FleetWorker": "one process's jobs, and who hears of them",
}


class Size(NamedTuple):
    """A class by its full name, below ``batcher``."""

    name: str
    parameters: int
    attributes: int

    @property
    def is_too_large(self) -> bool:
        return self.parameters > MOST_PARAMETERS or self.attributes > MOST_ATTRIBUTES


def sizes() -> Iterator[Size]:
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not is_record(node):
                yield measure(f"{module}.{node.name}", node)


def is_record(node: ast.ClassDef) -> bool:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    bases = [ast.unparse(base) for base in node.bases]
    return any("frozen=True" in text for text in decorators) or "NamedTuple" in bases


def measure(name: str, node: ast.ClassDef) -> Size:
    """Fields and whatever its methods set of ``self``; parameters of its constructor, self not."""
    fields = [
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and "ClassVar" not in ast.unparse(item.annotation)
    ]
    is_data = any("dataclass" in ast.unparse(each) for each in node.decorator_list)
    parameters = [field for field in fields if is_data and not field.startswith("_")]
    count = len(parameters)
    attributes = set(fields)
    for item in node.body:
        if not isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if item.name == "__init__":
            given = item.args
            count = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs) - 1
        attributes |= {
            each.attr
            for each in ast.walk(item)
            if isinstance(each, ast.Attribute)
            and isinstance(each.ctx, ast.Store)
            and isinstance(each.value, ast.Name)
            and each.value.id == "self"
        }
    return Size(name, count, len(attributes))


def test_no_class_is_given_or_holds_too_much() -> None:
    large = [size for size in sizes() if size.is_too_large and size.name not in EXCEPTIONS]
    assert large == []


def test_an_exception_is_needed() -> None:
    large = {size.name for size in sizes() if size.is_too_large}
    assert sorted(set(EXCEPTIONS) - large) == []


def test_the_sizes_are_counted_as_a_reader_would() -> None:
    source = """
class Both:
    kept: int
    def __init__(self, one, *, two=None):
        self.one, self.two = one, two
    def move(self):
        self.moved = True
"""
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    assert measure("both", node) == Size("both", 2, 4)
