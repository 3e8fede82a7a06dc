"""A page of the documentation as a program: its blocks, and where the output of each stands.

A block of `sh` or `python` is run; a block of `text` right after it is what it prints. A block
whose fence names a `title` is a file of that name. `<!-- not run: why -->` before a block exempts
it, and `<!-- figures vary -->` before an output says that its figures are another run's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

_FENCE = re.compile(
    r"^(?P<mark><!-- [^\n]*? -->\n\n?)?```(?P<language>[a-z]*)(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<body>.*?)^```$",
    re.M | re.S,
)
_RUN = ("sh", "python")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block; ``start`` and ``end`` are where its text stands in the page."""

    language: str
    title: str | None
    mark: str
    body: str
    start: int
    end: int
    line: int

    @property
    def not_run(self) -> bool:
        return "<!-- not run: " in self.mark

    @property
    def figures_vary(self) -> bool:
        return "<!-- figures vary -->" in self.mark


@dataclass(frozen=True)
class Step:
    """Something to run, and the block of what it prints, where the page shows that."""

    block: Block
    shown: Block | None


@dataclass(frozen=True)
class Page:
    """A page of Markdown."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def blocks(self) -> list[Block]:
        text = self.text
        return [
            Block(
                language=found["language"],
                title=found["title"],
                mark=found["mark"] or "",
                body=found["body"],
                start=found.start("body"),
                end=found.end("body"),
                line=text.count("\n", 0, found.start("language")) + 1,
            )
            for found in _FENCE.finditer(text)
        ]

    def steps(self) -> Iterator[Step | Block]:
        """What to do in turn: write a file (a block with a title), or run something."""
        blocks = self.blocks()
        for block, following in zip(blocks, [*blocks, None][1:], strict=True):
            if block.not_run:
                continue
            if block.title is not None:
                yield block
            elif block.language in _RUN:
                shown = following if following and following.language == "text" else None
                yield Step(block, shown)

    def rewritten(self, outputs: dict[int, str]) -> str:
        """The page with other outputs, by where they start."""
        text = self.text
        for block in reversed(self.blocks()):
            if block.start in outputs:
                text = text[: block.start] + outputs[block.start] + text[block.end :]
        return text


RECIPES = tuple(sorted((ROOT / "docs").glob("*.md")))
PAGES = (Page(ROOT / "README.md"), *(Page(path) for path in RECIPES))


def runnable(page: Page) -> bool:
    """Whether a page has anything that is run here: these two have tests of their own."""
    return page.path.name not in ("commands.md", "python.md") and any(
        isinstance(step, Step) for step in page.steps()
    )
