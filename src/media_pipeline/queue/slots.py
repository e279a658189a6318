"""The slots of a worker: how many handlers may be at work, of all kinds and of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping


class Slots:
    """Count handlers at work. A kind without a limit of its own may take every slot."""

    def __init__(self, kinds: Iterable[str], *, total: int, per_kind: Mapping[str, int]) -> None:
        self._limits = {kind: min(total, per_kind.get(kind, total)) for kind in kinds}
        self._total = total
        self._by_kind: Counter[str] = Counter()
        self.taken = 0
        self._turn = 0

    def take(self, kind: str) -> None:
        self._by_kind[kind] += 1
        self.taken += 1

    def leave(self, kind: str) -> None:
        self._by_kind[kind] -= 1
        self.taken -= 1

    def room(self, *, held: int) -> int:
        """Return how many jobs may be claimed beside those `held`: at work, or their ends being written.

        At most half of the slots: one half is claimed while the other is at work, where jobs are short.
        """
        return min(self._total - self.taken, 2 * self._total - held, (self._total + 1) // 2)

    def free(self) -> dict[str, int]:
        """Return the free slots by kind, another kind first each time."""
        self._turn += 1
        kinds = list(self._limits)
        turn = self._turn % len(kinds)
        free = {kind: self._limits[kind] - self._by_kind[kind] for kind in kinds[turn:] + kinds[:turn]}
        return {kind: slots for kind, slots in free.items() if slots > 0}
