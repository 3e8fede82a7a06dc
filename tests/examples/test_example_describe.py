"""The example of a kind that attaches files: it keeps the contract, is installed, and runs."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from batcher.kinds.testing import check_kind
from tests.engine.answering import Body, answering, chat
from tests.examples.installing import install_package, run_installed

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "describe"
OPTIONS: dict[str, Any] = {"image": "file", "question": "What is it?", "longest": "longest"}


def load() -> Any:
    spec = importlib.util.spec_from_file_location("describe", EXAMPLE / "batcher_describe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.KIND


def picture(body: Mapping[str, Any]) -> bytes:
    (_, image) = body["messages"][0]["content"]
    kind, _, content = image["image_url"]["url"].partition(",")
    assert kind == "data:image/png;base64"
    return b64decode(content)


def test_the_document_shows_it_as_it_is() -> None:
    document = (EXAMPLE.parent.parent / "docs" / "kinds.md").read_text(encoding="utf-8")
    text = (EXAMPLE / "batcher_describe.py").read_text(encoding="utf-8")
    assert f"\n{text}```\n" in document


def test_it_keeps_the_contract_of_kinds() -> None:
    records = [{"file": f"{at}.png", "longest": at or None} for at in range(4)]
    check_kind(load(), OPTIONS, records, lambda body: chat(picture(body).decode()))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed."""
    return install_package(EXAMPLE, tmp_path_factory.mktemp("installed"))


def test_it_is_installed_and_run_from_the_command_line(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for name in "ab":
        (tmp_path / "pictures" / f"{name}.png").write_bytes(name.encode() * 9)
    (tmp_path / "pictures" / "in.csv").write_text("file,longest\na.png,50\nb.png,\nc.png,7\n")

    def respond(body: Body, _: int) -> dict[str, Any]:
        return chat(f"{picture(body).decode()} in {body['max_tokens']}")

    async def run() -> str:
        async with answering(respond) as asked:
            code, said = await run_installed(
                installed,
                tmp_path,
                *("describe", "pictures/in.csv"),
                *("--image", "file", "--longest", "longest", "--model", "gpt-6-luna"),
                *("--base-url", asked.base_url, "-o", "out.jsonl", "--quiet"),
            )
            assert code == 3, said
            return said

    asyncio.run(run())
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [record["description"] for record in records] == [
        "a" * 9 + " in 50",
        "b" * 9 + " in 300",
    ]
    (error,) = [
        json.loads(line) for line in (tmp_path / "out.jsonl.errors.jsonl").read_text().splitlines()
    ]
    assert (error["row"], error["code"]) == (2, "attachment_missing")
