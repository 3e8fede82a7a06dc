"""The site is built without a warning, and a reader's browser asks no other host for anything."""

from __future__ import annotations

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.documents.page import PAGES, ROOT

pytestmark = [pytest.mark.process, pytest.mark.slow]

_LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by scripts/docs, where links that lead nowhere are errors."""
    where = tmp_path_factory.mktemp("built") / "site"
    ran = subprocess.run(
        [str(ROOT / "scripts/docs"), str(where)], capture_output=True, text=True, cwd=ROOT
    )
    assert ran.returncode == 0, ran.stderr
    return where


class _Loaded(HTMLParser):
    """What a page loads, other than by a reader's click."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in _LOADS and values.get("rel") != "canonical":
            self.urls.append(values.get(_LOADS[tag]) or "")


def test_every_page_is_on_the_site(site: Path) -> None:
    for page in PAGES:
        name = "index" if page.name == "README.md" else page.name.removesuffix(".md")
        assert (site / f"{name}.html").is_file()


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    loaded = {}
    for file in site.rglob("*.html"):
        parser = _Loaded()
        parser.feed(file.read_text(encoding="utf-8"))
        assert parser.urls
        loaded[file.name] = [url for url in parser.urls if re.match(r"(https?:)?//", url)]
        assert "mermaid" not in file.read_text(encoding="utf-8")  # its program is another host's
    for file in site.rglob("*.css"):
        found = re.findall(r"(?:@import\s+|url\()['\"]?((?:https?:)?//[^)'\"]+)", file.read_text())
        loaded[file.name] = found
    assert {name: urls for name, urls in loaded.items() if urls} == {}


def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    """Links of the theme's own navigation, too, and to places within a page."""
    anchors: dict[Path, set[str]] = {}
    links: list[tuple[Path, str]] = []
    for file in site.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        anchors[file] = set(re.findall(r"\bid=\"?([^\" >]+)", text))
        if file.name != "404.html":  # its links begin at the root, wherever that is
            links += [(file, found) for found in re.findall(r"<a [^>]*?href=\"?([^\" >]+)", text)]
    lost = []
    for file, link in links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (file.parent / name).resolve() if name else file
        target = target / "index.html" if target.is_dir() else target
        if not target.exists() or (anchor and target in anchors and anchor not in anchors[target]):
            lost.append((file.name, link))
    assert links
    assert lost == []
