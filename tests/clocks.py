"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class FakeClock:
    """A `Clock` in a test's hands. Sleepers wake in the order of their time, never by themselves."""

    def __init__(self, start: float = 1_750_000_000.0) -> None:
        self._now = start
        self._monotonic = 1_000.0
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._watchers: list[tuple[int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._numbers), wake))
        self._tell_watchers()
        await wake

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass and wake whoever is due; they run when the test next awaits."""
        self._now += seconds
        self._monotonic += seconds
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            wake = heapq.heappop(self._sleepers)[2]
            if not wake.done():
                wake.set_result(None)

    def suspend(self, seconds: float) -> None:
        """Let the machine sleep: the time of day goes on, the monotonic clock and timers do not."""
        self._now += seconds

    async def until_sleeping(self, sleepers: int = 1) -> None:
        """Return when at least so many tasks sleep on this clock."""
        if self._asleep() < sleepers:
            told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watchers.append((sleepers, told))
            await told

    def _asleep(self) -> int:
        return sum(not wake.done() for _, _, wake in self._sleepers)

    def _tell_watchers(self) -> None:
        asleep = self._asleep()
        for sleepers, told in self._watchers:
            if sleepers <= asleep and not told.done():
                told.set_result(None)
        self._watchers = [watcher for watcher in self._watchers if not watcher[1].done()]
