"""What a kind of job is made of: those that come with batcher, and anybody's.

The contract is :mod:`batcher.core.kind`, and what a kind may say besides is
:mod:`batcher.core.kind_optional`, each a protocol of its own; their names are here.

- :mod:`.base`: a kind with what most have in common.
- :mod:`.testing`: what every kind must do, as a test; :mod:`.row_checks`, what its rows have of
  their own.
- :mod:`.texts`: the text of a row's columns. :mod:`.templates`: of a Jinja2 template.
- :mod:`.vectors`: the vectors that answers hold.
- :mod:`.sandbox`: templates that cannot occupy the process; :mod:`.metering` says how much they may
  do, :mod:`.costs` what single filters and methods would.
"""

from batcher.core.kind import (
    BoundKind,
    Broken,
    Done,
    Endpoint,
    Field,
    Invalid,
    Kind,
    Option,
    Outcome,
    Overlong,
    Refused,
    Shape,
    TextFile,
)
from batcher.core.kind_optional import (
    AttachesFiles,
    BoundsAnswers,
    FramesTexts,
    Framing,
    GrowsOutput,
    LimitsPieces,
    NamesColumns,
    NotesColumns,
    RefusesToBegin,
    SeesParameters,
    SetsRowParameters,
    TakesTextViews,
    VersionsItself,
    output_cap,
)
from batcher.core.model import Prompt
from batcher.core.row.attachments import Attachment, Form
from batcher.kinds.base import BaseKind

__all__ = [
    "AttachesFiles",
    "Attachment",
    "BaseKind",
    "BoundKind",
    "BoundsAnswers",
    "Broken",
    "Done",
    "Endpoint",
    "Field",
    "Form",
    "FramesTexts",
    "Framing",
    "GrowsOutput",
    "Invalid",
    "Kind",
    "LimitsPieces",
    "NamesColumns",
    "NotesColumns",
    "Option",
    "Outcome",
    "Overlong",
    "Prompt",
    "Refused",
    "RefusesToBegin",
    "SeesParameters",
    "SetsRowParameters",
    "Shape",
    "TakesTextViews",
    "TextFile",
    "VersionsItself",
    "output_cap",
]
