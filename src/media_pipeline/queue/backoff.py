"""How long to wait before trying again: exponential, capped, with full jitter.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """`base` and `cap` in seconds; `draw` gives a number in [0, 1)."""

    base: float = 2.0
    cap: float = 300.0
    draw: Callable[[], float] = random.random

    def delay(self, failures: int, *, at_least: float | None = None) -> float:
        """Return the seconds to wait after the `failures`-th failure in a row (1 is the first)."""
        ceiling = min(self.cap, self.base * 2.0 ** min(failures - 1, 30))
        return max(self.draw() * ceiling, at_least or 0.0)
