"""How many event streams one user may hold open: a seat is taken before a stream opens, and left with it.

Guarantees that no more seats of a user are taken at once than the limit, in all processes that count
together. Not guaranteed: that a seat whose process was killed is free at once.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from media_pipeline.ids import UserId


class Seats(Protocol):
    """Who counts the streams of each user."""

    async def take(self, user_id: UserId) -> bool:
        """Take a seat, or return False where all of the user's are taken."""
        ...

    def leave(self, user_id: UserId) -> None:
        """Give back a seat that was taken."""
        ...

    async def aclose(self) -> None:
        """Stop counting: no stream of this process is open any more."""
        ...


class OwnSeats:
    """Count the streams of one process alone, `limit` for each user."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[UserId] = Counter()

    async def take(self, user_id: UserId) -> bool:
        if self._taken[user_id] >= self._limit:
            return False
        self._taken[user_id] += 1
        return True

    def leave(self, user_id: UserId) -> None:
        self._taken[user_id] -= 1
        if not self._taken[user_id]:
            del self._taken[user_id]

    async def aclose(self) -> None:
        """Nothing is held but the count."""
