"""Metrics in Prometheus's text format, version 0.0.4.

Written here, since the figures are plain numbers already: prometheus-client would keep them once
more, behind a lock for each. The tests read what this writes with that library's own parser.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from batcher.ports import Family

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def expose(families: Iterable[Family]) -> str:
    """The text that a Prometheus server reads."""
    return "".join(line + "\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.type}"
    for sample in family.samples:
        yield f"{family.name}{sample.suffix}{_labels(sample.labels)} {sample.value:.15g}"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"
