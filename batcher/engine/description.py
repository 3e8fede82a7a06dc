"""What the store keeps of a job's meaning, so that it can be exported without its templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batcher.core.kind import BoundKind, Field, Overlong, Shape
from batcher.core.model import Job
from batcher.core.spec import JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A job's spec, and the form of its results."""

    spec: JobSpec
    shape: Shape
    fields: tuple[Field, ...]
    overlong: Overlong

    @classmethod
    def of(cls, spec: JobSpec, bound: BoundKind) -> Description:
        """The description of a job that is about to be made."""
        return cls(spec=spec, shape=bound.shape, fields=bound.fields, overlong=bound.overlong)

    @classmethod
    def read(cls, job: Job) -> Description:
        """The description that the store kept."""
        plain = job.spec
        return cls(
            spec=JobSpec.from_json(plain["job"]),
            shape=Shape(plain["shape"]),
            fields=tuple(Field(**field) for field in plain["fields"]),
            overlong=Overlong(plain["overlong"]),
        )

    def to_json(self) -> Mapping[str, Any]:
        """Plain JSON for the store."""
        return {
            "job": self.spec.to_json(),
            "shape": str(self.shape),
            "fields": [{"name": field.name, "type": field.type} for field in self.fields],
            "overlong": str(self.overlong),
        }

    @property
    def chunked(self) -> bool:
        """Whether the output has one record for each chunk of a row."""
        return self.overlong is Overlong.SPLIT
