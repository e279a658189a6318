"""The memory of a process that lives long."""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 10_000
"""How many more containers there are before the collector looks for circles among them.

Python's own 700 are what a few requests hold while they are answered, so that each look moved what was about
to be freed among what is old, and the old was looked through again and again.
"""


def spare_heap() -> None:
    """Leave what is there for life out of every later collection, which stops everything meanwhile."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
