"""What an editable installation finds as ``batcher``: the package of this checkout, and no more.

With the checkout itself on the path, its ``jobs``, ``migrations``, ``tests`` and ``scripts`` would
stand beside ``batcher`` in every program of that environment.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_spec = spec_from_file_location(
    "batcher", Path(__file__).resolve().parents[3] / "batcher" / "__init__.py"
)
assert _spec is not None
assert _spec.loader is not None
_module = module_from_spec(_spec)
sys.modules["batcher"] = _module
_spec.loader.exec_module(_module)
