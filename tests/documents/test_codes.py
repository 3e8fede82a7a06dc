"""Every code that a failed row may bear stands in ``docs/errors.md``, and no other does.

The codes are read from the source: whatever makes a failure is given its code as a literal.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAKERS = {
    "BadRow", "Backoff", "Broken", "Dead", "Fault", "Invalid", "Refused", "RowError", "Split",
    "TransportError", "_invalid", "fail",
}  # fmt: skip
CODE = re.compile(r"[a-z]+(?:_[a-z0-9]+)*_?")
OF_PROVIDERS = {"context_length_exceeded", "server_error"}
"""What the page names as examples of what a provider may say."""


def sources() -> Iterator[ast.Module]:
    for folder in ("batcher", "jobs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "simulator" not in path.parts and path.name != "testing.py":
                yield ast.parse(path.read_text(encoding="utf-8"))


def literals(node: ast.expr, constants: dict[str, str]) -> Iterator[str]:
    """The texts that an expression may be; ``http_`` stands for any status."""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
        elif isinstance(each, ast.Name) and each.id in constants:
            yield constants[each.id]


def codes_of_the_source() -> set[str]:
    modules = list(sources())
    constants = {
        target.id: node.value.value
        for module in modules
        for node in module.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    codes: set[str] = set()
    for module in modules:
        for call in makings(module):
            named = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
            for given in [*call.args[:1], *named]:
                codes |= {text for text in literals(given, constants) if CODE.fullmatch(text)}
    return codes


def makings(module: ast.Module) -> Iterator[ast.Call]:
    """The calls that make a failure, those of a subclass to its base among them."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and name_of(node.func) in MAKERS:
            yield node
        elif isinstance(node, ast.ClassDef) and {*map(name_of, node.bases)} & MAKERS:
            calls = (each for each in ast.walk(node) if isinstance(each, ast.Call))
            yield from (call for call in calls if name_of(call.func) == "__init__")


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def codes_of_the_page() -> set[str]:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    cells = [row.split("|")[1] for row in rows]
    codes = {code for cell in cells for code in re.findall(r"`([a-z0-9_]+)`", cell)}
    return codes - {"id", "row", "code", "message", "attempts"}


def test_the_page_has_every_code_and_no_other() -> None:
    source = codes_of_the_source()
    assert {"empty_input", "not_json", "timeout", "http_"} <= source  # all kinds of places are read
    page = {"http_" if code.startswith("http_") else code for code in codes_of_the_page()}
    assert page == source


def test_codes_of_providers_are_examples_only() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert all(f"`{code}`" in page for code in OF_PROVIDERS)
    assert not OF_PROVIDERS & codes_of_the_page()


def test_the_disk_that_is_kept_free_is_named_in_the_page() -> None:
    from batcher.engine.job.endings import LEAST_ROOM_BYTES

    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert f"less than {LEAST_ROOM_BYTES >> 20} MB" in page
