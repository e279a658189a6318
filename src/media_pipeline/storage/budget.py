"""How many bytes may be held in memory, uploads in flight included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from media_pipeline.storage.store import StoreFull


class Budget:
    """Counts bytes against `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used = 0

    @property
    def used(self) -> int:
        """Bytes held now."""
        return self._used

    def check(self, count: int, *, credit: int = 0) -> None:
        """Raise `StoreFull` unless `count` more bytes fit; `credit` is what they will replace."""
        if self._used + count - credit > self._max_bytes:
            raise StoreFull(f"The store holds {self._max_bytes} bytes at most and is full.")

    def give_back(self, count: int) -> None:
        """Free `count` bytes that were kept."""
        self._used -= count

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Take bytes for one write, and give them back at its end unless they are kept."""
        lease = Lease(self)
        try:
            yield lease
        finally:
            self._used -= lease.taken

    def take(self, count: int, *, credit: int) -> None:
        """Count `count` more bytes or raise `StoreFull`."""
        self.check(count, credit=credit)
        self._used += count


class Lease:
    """The bytes of one write in flight."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.taken = 0

    def take(self, count: int, *, credit: int) -> None:
        """Count `count` more bytes or raise `StoreFull`."""
        self._budget.take(count, credit=credit)
        self.taken += count

    def keep(self) -> None:
        """Leave the bytes counted when the lease ends."""
        self.taken = 0
