"""A module as an installed package, with entry points, on a path of its own."""

from __future__ import annotations

from pathlib import Path


def install(place: Path, module: str, code: str, *, group: str, entries: dict[str, str]) -> None:
    """Put it where a process with ``place`` in its ``PYTHONPATH`` finds it."""
    place.mkdir(exist_ok=True)
    (place / f"{module}.py").write_text(code, encoding="utf-8")
    about = place / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    points = "".join(f"{name} = {module}:{thing}\n" for name, thing in entries.items())
    (about / "entry_points.txt").write_text(f"[{group}]\n{points}", encoding="utf-8")
