"""What was looked up of models, kept in the user's cache: the catalog takes long to load.

An entry holds for a day, since prices may change at midnight (UTC), and for as long as the catalog
and how it is read are the same files. Prices that change within a day are not kept. An entry that
cannot be read is looked up again, and one that cannot be written is not needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from batcher.core.limits import ModelFacts
from batcher.core.money.prices import Price

_SOURCES = ("genai_prices", "batcher.adapters.providers.catalog", "batcher.core.money.prices")


def kept_model_facts(model: str, endpoint: str, base_url: str) -> ModelFacts:
    """See :func:`.catalog.model_facts`, which is asked where nothing is kept."""
    if _is_loaded():
        return _look_up(model, endpoint, base_url)[0]
    path, stamp = _path(model, endpoint, base_url), _stamp()
    kept = _read(path, stamp)
    if kept is not None:
        return kept
    facts, holds = _look_up(model, endpoint, base_url)
    if holds:
        _write(path, {"stamp": stamp, "facts": asdict(facts)})
    return facts


def _is_loaded() -> bool:
    """Whether the catalog is at hand: then it is as quick, and may have been given new prices."""
    return "genai_prices" in sys.modules


def _look_up(model: str, endpoint: str, base_url: str) -> tuple[ModelFacts, bool]:
    from batcher.adapters.providers.catalog import holds_today, model_facts

    facts = model_facts(model, endpoint, base_url)
    return facts, holds_today(model, endpoint, base_url)


def _path(model: str, endpoint: str, base_url: str) -> Path:
    """Where an entry is: its name tells nothing of the URL, which may hold a password."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~").expanduser() / ".cache")
    name = hashlib.sha256(json.dumps([model, endpoint, base_url]).encode()).hexdigest()
    return Path(base) / "batcher" / "models" / f"{name}.json"


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _stamp() -> list[Any]:
    """What an entry holds for: today, and the files that it was made of."""
    made_of: list[Any] = [_today()]
    for name in _SOURCES:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        place = Path(spec.origin)
        for file in (place, place.with_name("data.py")):
            if file.exists():
                seen = file.stat()
                made_of.append([str(file), seen.st_mtime_ns, seen.st_size])
    return made_of


def _read(path: Path, stamp: list[Any]) -> ModelFacts | None:
    try:
        kept = json.loads(path.read_bytes())
        if kept["stamp"] != stamp:
            return None
        facts = kept["facts"]
        price = None if facts["price"] is None else _price(facts["price"])
        return ModelFacts(price=price, context_tokens=facts["context_tokens"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _price(kept: dict[str, Any]) -> Price:
    above, tiers = kept["above"], kept["tiers"]
    return Price(
        **{
            **kept,
            "above": None if above is None else (above[0], _price(above[1])),
            "tiers": {name: _price(tier) for name, tier in tiers.items()},
        }
    )


def _write(path: Path, entry: dict[str, Any]) -> None:
    """Whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(entry, file)
        Path(part).replace(path)
    except OSError:
        pass
