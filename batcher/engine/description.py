"""What the store keeps of a job's meaning, so that others can go on with it without its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batcher.core.kind import BoundKind, Field, Overlong, Shape, TextFile
from batcher.core.model import Job
from batcher.core.spec import JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A job's spec, the form of its results, and what a worker needs to bind its kind again.

    ``files`` are those that the kind's options name; ``kind_version`` is the kind's that planned.
    """

    spec: JobSpec
    shape: Shape
    fields: tuple[Field, ...]
    overlong: Overlong
    kind_version: int
    files: Mapping[str, TextFile] = field(default_factory=dict)

    @classmethod
    def of(
        cls, spec: JobSpec, bound: BoundKind, kind_version: int, files: Mapping[str, TextFile]
    ) -> Description:
        """The description of a job that is about to be made."""
        return cls(
            spec=spec,
            shape=bound.shape,
            fields=bound.fields,
            overlong=bound.overlong,
            kind_version=kind_version,
            files=files,
        )

    @classmethod
    def read(cls, job: Job) -> Description:
        """The description that the store kept."""
        plain = job.spec
        return cls(
            spec=JobSpec.from_json(plain["job"]),
            shape=Shape(plain["shape"]),
            fields=tuple(Field(**field) for field in plain["fields"]),
            overlong=Overlong(plain["overlong"]),
            kind_version=plain["kind_version"],
            files={name: TextFile(*pair) for name, pair in plain["files"].items()},
        )

    def to_json(self) -> Mapping[str, Any]:
        """Plain JSON for the store."""
        return {
            "job": self.spec.to_json(),
            "shape": str(self.shape),
            "fields": [{"name": field.name, "type": field.type} for field in self.fields],
            "overlong": str(self.overlong),
            "kind_version": self.kind_version,
            "files": {name: [file.path, file.text] for name, file in self.files.items()},
        }

    @property
    def chunked(self) -> bool:
        """Whether the output has one record for each chunk of a row."""
        return self.overlong is Overlong.SPLIT
