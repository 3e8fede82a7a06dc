"""Packages that are installed on a path of their own: of a folder, or of one module's code."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
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


def install_package(folder: Path, place: Path) -> Path:
    """Install a copy of the package in a folder, without a network; returns where."""
    source = place / "source"
    shutil.copytree(folder, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, *offline, "--target", place / "packages", source], check=True)
    return place / "packages"


async def run_installed(packages: Path, here: Path, *arguments: str) -> tuple[int | None, str]:
    """Run the command in a folder, with packages that are installed; its exit code and words."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "batcher", "run", *arguments),
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(packages), "OPENAI_API_KEY": "sk-x"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()
