"""The progress bars that models print into their logs (tqdm's form): the last one is how far they are."""

from __future__ import annotations

import re
from typing import Final

from media_pipeline.generation.provider import Advanced

_BAR: Final = re.compile(r"\d+%\|[^|\n]*\|\s*(\d+)/(\d+)")


class Bars:
    """The bars of one job's log, told once each."""

    def __init__(self) -> None:
        self._told = (0, 0)

    def news(self, log: str) -> list[Advanced]:
        """Return the last bar of `log` if it is further than the one that was told; a new bar starts over."""
        bars = _BAR.findall(log)
        if not bars:
            return []
        done, total = int(bars[-1][0]), int(bars[-1][1])
        if done == 0 or done > total or (done, total) == self._told:
            return []
        self._told = (done, total)
        return [Advanced(done, total, "step")]
