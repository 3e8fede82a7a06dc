"""What a kind of job is made of: those that come with batcher, and anybody's.

The contract is :mod:`batcher.core.kind`; its names are here.

- :mod:`.base`: a kind with what most have in common.
- :mod:`.testing`: what every kind must do, as a test.
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
    Framing,
    Invalid,
    Kind,
    Option,
    Outcome,
    Overlong,
    Refused,
    Shape,
    TextFile,
)
from batcher.core.model import Prompt
from batcher.kinds.base import BaseKind

__all__ = [
    "BaseKind",
    "BoundKind",
    "Broken",
    "Done",
    "Endpoint",
    "Field",
    "Framing",
    "Invalid",
    "Kind",
    "Option",
    "Outcome",
    "Overlong",
    "Prompt",
    "Refused",
    "Shape",
    "TextFile",
]
