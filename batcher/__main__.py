"""``python -m batcher`` is ``batcher``."""

from __future__ import annotations

from batcher.cli import main

if __name__ == "__main__":
    main()
