"""The program: the life of one process from start to stop.

A process serves, works or does both; whichever it is, it also tends the queue. Every loop bears
being run by any number of processes at once, so nothing depends on which of them are up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Final

import structlog

from media_pipeline.arrival import arrive
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.engines import open_database
from media_pipeline.errors import MediaPipelineError
from media_pipeline.media.indexer import Indexer
from media_pipeline.media.remover import Remover
from media_pipeline.parts import Parts
from media_pipeline.queue.republisher import Republisher
from media_pipeline.queue.rescuer import Rescuer

_log = structlog.get_logger(__name__)
UNFINISHED: Final = ("available", "blocked", "running")


class PartDied(MediaPipelineError):
    """A loop that must run as long as the program does has ended; start the program again."""


class Program(Parts):
    """The life of a process's parts."""

    begun: bool = False
    _working: Sequence[asyncio.Task[None]] = ()
    _loops: Sequence[asyncio.Task[None]] = ()

    async def start(self, *, on_wait: Callable[[], None] = lambda: None) -> None:
        """Reach the database, take over what an earlier process left, and begin to work.

        With a role it waits for a database server that is away, and calls `on_wait`; all else raises.
        """
        try:
            await self._begin(on_wait)
        except BaseException:
            await self.stop()
            raise

    async def part_ended(self) -> None:
        """Return when a part of the running program ends by itself: it died, or the worker was stopped."""
        await asyncio.wait([*self._working, *self._loops], return_when=asyncio.FIRST_COMPLETED)

    async def until_empty(self) -> None:
        """Return when no job waits for a worker or runs, here or anywhere."""
        while self.worker.busy or await self._has_unfinished():
            await self.clock.sleep(self.settings.media_poll_seconds)

    async def begin_stop(self) -> None:
        """Claim nothing more and end every stream; comes before the server waits for connections."""
        self.worker.stop()
        await self.hub.aclose()

    async def stop(self) -> None:
        """Drain the worker, then close what was opened, last first; raises what a part died of."""
        self.worker.stop()
        ends = await asyncio.gather(*self._working, return_exceptions=True)
        for loop in self._loops:
            loop.cancel()
        ends += await asyncio.gather(*self._loops, return_exceptions=True)
        await self.withdrawals.aclose()
        await self._close()
        for end in ends:
            if isinstance(end, Exception):
                raise PartDied("A part of the program died; its log says of what.") from end

    def probes(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Return what says of each part, by raising, that it cannot work."""
        bus = {} if self.line is None else {"bus": self.line.probe}
        return {"database": self._probe_database, **bus}

    async def _begin(self, on_wait: Callable[[], None]) -> None:
        if self.line is not None:
            await self.line.try_once()
        rescuer = Rescuer(
            self.queue,
            self.withdrawals,
            self.doorbell,
            lease=self.settings.media_lease_seconds,
            clock=self.clock,
        )
        reach = partial(self._reach, rescuer)
        if self.roles and self.settings.database_server is not None:
            await arrive(reach, clock=self.clock, on_wait=on_wait)
        else:
            await reach()
        if self.settings.forgets_objects:
            _log.warning("store.in_memory", hint="objects end with the process, rows stay: set STORAGE_DIR")
        republisher = Republisher(
            self.queue, self.withdrawals, keep=self.settings.media_keep_jobs_seconds, clock=self.clock
        )
        if self.line is not None:
            self.line.catch_up(lambda _link: republisher.hurry())
        remover = Remover(self.library, clock=self.clock)
        indexer = Indexer(self.database, self.library, clock=self.clock)
        self._working = _begun(self.worker.run()) if "work" in self.roles else ()
        self._loops = _begun(
            rescuer.run(),
            republisher.run(),
            remover.run(),
            indexer.run(),
            self.sweeper.run(),
            self.fleet.keep(),
        )
        self.begun = True

    async def _reach(self, rescuer: Rescuer) -> None:
        await open_database(self.settings, self.database)
        await self.queue.open()
        await rescuer.tend()

    async def _probe_database(self) -> None:
        await self.queue.depth()
        if not self.begun:
            raise DatabaseUnavailable("The program is about to begin.")

    async def _has_unfinished(self) -> bool:
        try:
            depths = await self.queue.depth()
        except DatabaseUnavailable:
            return True
        return any(depth.states.get(state) for depth in depths for state in UNFINISHED)

    async def _close(self) -> None:
        await self.hub.aclose()
        await self.bus.aclose()
        for provider in self.providers:
            await provider.aclose()
        await self.downloads.aclose()
        await self.workshop.aclose()
        await self.transport.aclose()
        await self.store.aclose()
        await self.database.aclose()


def _begun(*parts: Coroutine[None, None, None]) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(part) for part in parts]
