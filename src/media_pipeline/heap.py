"""The memory of a process that lives long."""

from __future__ import annotations

import gc


def spare_heap() -> None:
    """Leave what is there for life out of every later collection, which stops everything meanwhile."""
    gc.collect()
    gc.freeze()
