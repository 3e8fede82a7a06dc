"""What the store keeps of a job's meaning, so that others can go on with it without its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batcher.core.errors import DamagedStore
from batcher.core.job.since import Since
from batcher.core.job.spec import JobSpec
from batcher.core.kind import BoundKind, Endpoint, Field, Overlong, Shape, TextFile, shape_of
from batcher.core.model import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A job's spec, the form of its results, and what a worker needs to bind its kind again.

    ``files`` are those that the kind's options name; ``kind_version`` is the kind's that planned.
    ``recipe`` is what the contents of its rows are hashed under (empty in jobs of versions that
    hashed none); ``since`` what it is compared with, None where it is not. ``endpoint`` is where
    its requests go (of versions that did not keep it, what the form of the results says).
    """

    spec: JobSpec
    shape: Shape
    fields: tuple[Field, ...]
    overlong: Overlong
    kind_version: int
    files: Mapping[str, TextFile] = field(default_factory=dict)
    recipe: str = ""
    since: Since | None = None
    endpoint: str = Endpoint.CHAT

    @classmethod
    def of(
        cls,
        spec: JobSpec,
        bound: BoundKind,
        kind_version: int,
        files: Mapping[str, TextFile],
        recipe: str,
    ) -> Description:
        """The description of a job that is about to be made."""
        return cls(
            spec=spec,
            shape=shape_of(bound.fields),
            fields=bound.fields,
            overlong=bound.overlong,
            kind_version=kind_version,
            files=files,
            recipe=recipe,
            endpoint=str(bound.endpoint),
        )

    @classmethod
    def read(cls, job: Job) -> Description:
        """The description that the store kept.

        Raises:
            DamagedStore: what it kept is none.
        """
        try:
            return cls._of_json(job.description)
        except (LookupError, ValueError, TypeError, AttributeError) as exc:
            raise DamagedStore(
                f"job {job.id}: the database is damaged: what it says of the job makes no sense "
                f"({type(exc).__name__}); restore a copy of it"
            ) from exc

    @classmethod
    def _of_json(cls, plain: Mapping[str, Any]) -> Description:
        shape = Shape(plain["shape"])
        usual = Endpoint.EMBEDDINGS if shape is Shape.VECTOR else Endpoint.CHAT
        return cls(
            spec=JobSpec.from_json(plain["job"]),
            shape=shape,
            fields=tuple(Field(**field) for field in plain["fields"]),
            overlong=Overlong(plain["overlong"]),
            kind_version=plain["kind_version"],
            files={name: TextFile(*pair) for name, pair in plain["files"].items()},
            recipe=plain.get("recipe", ""),
            since=Since.from_json(since) if (since := plain.get("since")) else None,
            endpoint=str(plain.get("endpoint", usual)),
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
            "recipe": self.recipe,
            "endpoint": str(self.endpoint),
            "since": None if self.since is None else self.since.to_json(),
        }

    @property
    def chunked(self) -> bool:
        """Whether the output has one record for each chunk of a row."""
        return self.overlong is Overlong.SPLIT

    @property
    def is_proven(self) -> bool:
        """Whether a complete job asked the same of the same model: rows may fail, not the job."""
        return self.since is not None and self.since.job is not None and not self.since.differs

    def differences(self, other: Description) -> tuple[str, ...]:
        """What makes results of ``other`` wrong here, in words; empty where nothing does."""
        if self.recipe == other.recipe:
            return ()
        mine, theirs = self._ingredients(), other._ingredients()
        names = dict.fromkeys([*mine, *theirs])
        found = tuple(name for name in names if mine.get(name) != theirs.get(name))
        return found or ("the version of batcher",)

    def _ingredients(self) -> dict[str, Any]:
        """What a recipe is made of, by what users call it."""
        spec = self.spec
        chosen = {name: value for name, value in spec.options.items() if value is not None}
        texts = {name: file.text for name, file in self.files.items()}
        return {
            "the kind": spec.kind,
            "the kind's version": self.kind_version,
            "the model": spec.model,
            "the base URL": spec.answers_from,
            "the API version": spec.api_version,
            "the parameters": dict(spec.params),
            **{f"the {name.replace('_', ' ')}": v for name, v in (chosen | texts).items()},
        }
