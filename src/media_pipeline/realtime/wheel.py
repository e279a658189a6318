"""One timer for everything that has a next time: pings, stalls, expiries.

Ten thousand streams cost one sleeping task. Times are kept to the granularity of a tick, never early.
"""

from __future__ import annotations

import math
from typing import Protocol

from media_pipeline.clock import Clock


class Timed(Protocol):
    """What sits on the wheel; `bucket` is the wheel's own note of where, -1 at first."""

    bucket: int

    def tick(self, now: float) -> float | None:
        """Do what is due at `now` (monotonic); return the next time, or None to leave the wheel."""
        ...


class Wheel:
    """Buckets of things by the tick at which they are due."""

    def __init__(self, clock: Clock, *, tick_seconds: float) -> None:
        self._clock = clock
        self._tick = tick_seconds
        self._buckets: dict[int, list[Timed]] = {}

    def schedule(self, thing: Timed, at: float) -> None:
        """Call `thing.tick` at the monotonic time `at`, or before where it was scheduled before."""
        bucket = math.ceil(at / self._tick)
        if thing.bucket < 0 or bucket < thing.bucket:
            thing.bucket = bucket
            self._buckets.setdefault(bucket, []).append(thing)

    async def run(self) -> None:
        """Turn for ever."""
        while True:
            await self._clock.sleep(self._tick)
            self.turn()

    def turn(self) -> None:
        """Do everything that is due by now."""
        now = self._clock.monotonic()
        current = math.floor(now / self._tick)
        for bucket in sorted(number for number in self._buckets if number <= current):
            for thing in self._buckets.pop(bucket):
                # It may have been moved to an earlier time, and was there already.
                if thing.bucket == bucket:
                    self._tick_one(thing, now)

    def _tick_one(self, thing: Timed, now: float) -> None:
        thing.bucket = -1
        if (due := thing.tick(now)) is not None:
            self.schedule(thing, max(due, now + self._tick))
