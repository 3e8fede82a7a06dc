"""What the store keeps of a job's meaning, so that others can go on with it without its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from batcher.core.errors import DamagedStore, UsageError
from batcher.core.job.delivery import DeliverySpec
from batcher.core.job.description_parts import InputPart, ProviderPart, WorkPart
from batcher.core.job.since import Since
from batcher.core.job.spec import JobSpec
from batcher.core.kind import BoundKind, Endpoint, Field, Overlong, Shape, TextFile, shape_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A job in four parts, the form of its results, and what a worker needs to bind its kind again.

    ``delivery`` is where its results were to go when it was opened, None where that was not said.
    ``files`` are those that the kind's options name; ``kind_version`` is the kind's that planned.
    ``recipe`` is what the contents of its rows are hashed under (empty in jobs of versions that
    hashed none); ``since`` what it is compared with, None where it is not. ``endpoint`` is where
    its requests go (of versions that did not keep it, what the form of the results says).
    """

    work: WorkPart
    input: InputPart
    provider: ProviderPart
    delivery: DeliverySpec | None = None
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
    ) -> Self:
        """The description of a job that is about to be made."""
        return cls(
            work=WorkPart.of(spec),
            input=InputPart.of(spec),
            provider=ProviderPart.of(spec),
            shape=shape_of(bound.fields),
            fields=bound.fields,
            overlong=bound.overlong,
            kind_version=kind_version,
            files=files,
            recipe=recipe,
            endpoint=str(bound.endpoint),
        )

    @classmethod
    def of_stored(cls, job_id: str, plain: Any) -> Self:
        """The description that the store kept of a job, read once, where the job is loaded.

        Raises:
            DamagedStore: what it kept is none, or has what only a later version understands.
        """
        try:
            return cls.from_json(plain)
        except UsageError as exc:
            raise DamagedStore(
                f"job {job_id}: what the database says of the job is not understood here ({exc}); "
                "if a later version of batcher wrote it, use that"
            ) from exc
        except (LookupError, ValueError, TypeError, AttributeError) as exc:
            raise DamagedStore(
                f"job {job_id}: the database is damaged: what it says of the job makes no sense "
                f"({type(exc).__name__}); restore a copy of it"
            ) from exc

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The reverse of :meth:`to_json`; anything may be raised where it is not one."""
        shape = Shape(plain["shape"])
        usual = Endpoint.EMBEDDINGS if shape is Shape.VECTOR else Endpoint.CHAT
        spec = JobSpec.from_json(plain["job"])
        return cls(
            work=WorkPart.of(spec),
            input=InputPart.of(spec),
            provider=ProviderPart.of(spec),
            delivery=DeliverySpec.from_json(delivery)
            if (delivery := plain.get("delivery"))
            else None,
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
        """Plain JSON for the store: the first three parts as flat as a job file is."""
        plain = {
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
        return plain if self.delivery is None else plain | {"delivery": self.delivery.to_json()}

    @property
    def spec(self) -> JobSpec:
        """The first three parts as one, as a command line or a job file says them."""
        settings = self.work.settings() | self.input.settings() | self.provider.settings()
        return JobSpec(**settings)

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
        work, provider = self.work, self.provider
        chosen = {name: value for name, value in work.options.items() if value is not None}
        texts = {name: file.text for name, file in self.files.items()}
        return {
            "the kind": work.kind,
            "the kind's version": self.kind_version,
            "the model": work.model,
            "the base URL": provider.answers_from,
            "the API version": provider.api_version,
            "the parameters": dict(work.params),
            **{f"the {name.replace('_', ' ')}": v for name, v in (chosen | texts).items()},
        }
