"""How much a class or a function may be given, and a class may hold: more lacks a name.

Records are left out: frozen data classes and named tuples hold values and decide nothing by them.
So are commands and overloads, whose parameters declare what a user may say.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parent.parent / "batcher"
MOST_PARAMETERS = 6
MOST_ATTRIBUTES = 12
MOST_OF_A_FUNCTION = 7

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
}
FUNCTIONS = {
    # What a user says, by keywords of their own.
    "api.running.run": "all options of a run",
    "engine.runner.Runner.run": "all that a run may be told",
    "engine.jobs.Jobs.export": "all that an export may be told",
    # What goes into a hash, or into a statement: no part may be forgotten by whoever calls.
    "core.job.fingerprint.fingerprint": "each part of a job's identity by its name",
    "core.job.fingerprint.recipe": "each part of a recipe by its name",
    "adapters.store.sql.grants.grant": "the parameters of one statement",
    # The throttle's arithmetic, on the hot path, where a value made for each call would cost.
    "core.throttle.quota.QuotaState._learn_window": "what one answer says of one of two limits",
    # What is set once for a provider, each by itself.
    "adapters.providers.http.open_provider": "how a connection is made",
    # What is left of reading a shard, where its pieces have been found.
    "engine.delivery.exporter._with_missing": "the parts of a shard that was read",
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


def long_functions() -> Iterator[str]:
    """The functions and methods that are given too much, by their full names below ``batcher``."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield from functions_in(ast.parse(path.read_text(encoding="utf-8")), module)


def functions_in(node: ast.AST, name: str, *, in_class: bool = False) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from functions_in(child, f"{name}.{child.name}", in_class=True)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = [ast.unparse(each) for each in child.decorator_list]
            declares = any("command" in text or text == "overload" for text in decorators)
            given = child.args
            count = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
            count -= in_class and "staticmethod" not in decorators
            if count > MOST_OF_A_FUNCTION and child.name != "__init__" and not declares:
                yield f"{name}.{child.name}"
            yield from functions_in(child, f"{name}.{child.name}")
        else:
            yield from functions_in(child, name, in_class=in_class)


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


def test_no_function_is_given_too_much() -> None:
    assert sorted(set(long_functions()) - set(FUNCTIONS)) == []


def test_an_exception_is_needed() -> None:
    large = {size.name for size in sizes() if size.is_too_large}
    assert sorted(set(EXCEPTIONS) - large) == []
    assert sorted(set(FUNCTIONS) - set(long_functions())) == []


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


def test_the_parameters_of_functions_are_counted_as_a_reader_would() -> None:
    many = ", ".join(f"p{number}" for number in range(MOST_OF_A_FUNCTION))
    source = f"""
def few({many}): ...
def many({many}, *, more): ...
class Some:
    def few(self, {many}): ...
    async def many(self, {many}, more): ...
    @staticmethod
    def also({many}, more): ...
@cli.command()
def declared({many}, more): ...
"""
    assert list(functions_in(ast.parse(source), "module")) == [
        "module.many", "module.Some.many", "module.Some.also",
    ]  # fmt: skip
