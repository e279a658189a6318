"""The doorbell of one process."""

from __future__ import annotations

import asyncio
import contextlib
from weakref import WeakSet

from media_pipeline.queue.queue import Ring


class LocalListener:
    """Keep the rings it listens for until they are waited for."""

    def __init__(self, rings: frozenset[Ring]) -> None:
        self._wanted = rings
        self._rang = asyncio.Event()
        self._rings: set[Ring] = set()

    def hear(self, ring: Ring) -> None:
        """Take a ring."""
        if ring in self._wanted:
            self._rings.add(ring)
            self._rang.set()

    def wake(self) -> None:
        self._rang.set()

    async def wait(self, seconds: float) -> frozenset[Ring]:
        if not self._rang.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._rang.wait()
        return self.heard()

    def heard(self) -> frozenset[Ring]:
        self._rang.clear()
        rings, self._rings = frozenset(self._rings), set()
        return rings


class LocalDoorbell:
    """Wake the listeners of this process at once."""

    def __init__(self) -> None:
        self._listeners: WeakSet[LocalListener] = WeakSet()

    def ring(self, ring: Ring) -> None:
        for listener in self._listeners:
            listener.hear(ring)

    def listen(self, *rings: Ring) -> LocalListener:
        listener = LocalListener(frozenset(rings))
        self._listeners.add(listener)
        return listener
