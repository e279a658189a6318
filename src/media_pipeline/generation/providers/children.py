"""Child processes for local work: started when needed, used again, stopped in the middle of an order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from media_pipeline.generation.providers.child import (
    PREFIX,
    Failed,
    Finished,
    Message,
    pack,
    unpack_message,
)

_GRACE: Final = 2.0
"""Seconds between asking a renderer to leave and killing it: one step takes less."""


class RendererLost(Exception):
    """A renderer ended in the middle of an order."""


class RendererPool:
    """At most `size` renderers, processes of `module`; an order that finds all busy waits for one."""

    def __init__(self, *, size: int, module: str) -> None:
        self._module = module
        self._free = asyncio.Semaphore(size)
        self._idle: list[Process] = []
        self._busy: set[Process] = set()
        self._waiting = 0

    @property
    def ahead(self) -> int | None:
        """How many orders wait before a new one; None when a renderer is free."""
        return self._waiting if self._free.locked() else None

    @property
    def working(self) -> tuple[int, ...]:
        """The process ids of the renderers that draw now."""
        return tuple(process.pid for process in self._busy)

    async def draw(self, order: msgspec.Struct) -> AsyncGenerator[Message, None]:
        """Yield what a renderer says until it is done; closing the generator ends the work there.

        Raises `RendererLost` when the renderer dies; the next order gets a new one.
        """
        async with self._seat():
            process = await self._take()
            done = False
            try:
                async with contextlib.aclosing(_converse(process, order)) as messages:
                    async for message in messages:
                        done = isinstance(message, Finished | Failed)
                        yield message
                        if done:
                            break
            finally:
                await (self._give_back(process) if done else self._discard(process))

    async def aclose(self) -> None:
        """Stop every renderer."""
        processes = [*self._idle, *self._busy]
        self._idle.clear()
        self._busy.clear()
        await asyncio.gather(*(_stop(process) for process in processes))

    @contextlib.asynccontextmanager
    async def _seat(self) -> AsyncGenerator[None, None]:
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()

    async def _take(self) -> Process:
        process = self._idle.pop() if self._idle else await _start(self._module)
        self._busy.add(process)
        return process

    async def _give_back(self, process: Process) -> None:
        self._busy.discard(process)
        self._idle.append(process)

    async def _discard(self, process: Process) -> None:
        self._busy.discard(process)
        await _stop(process)


async def _start(module: str) -> Process:
    # Numpy's linear algebra is not used; without this every renderer would keep threads for it.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=PIPE, stdout=PIPE, env=environment
    )


async def _converse(process: Process, order: msgspec.Struct) -> AsyncGenerator[Message, None]:
    if process.stdin is None or process.stdout is None:
        raise RendererLost
    try:
        process.stdin.write(pack(order))
        await process.stdin.drain()
        while True:
            (length,) = PREFIX.unpack(await process.stdout.readexactly(PREFIX.size))
            yield unpack_message(await process.stdout.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise RendererLost from error


async def _stop(process: Process) -> None:
    """End it between two steps, or at once when a step takes too long or we are cancelled."""
    try:
        _signal(process, terminate=True)
        if process.stdin is not None:
            process.stdin.close()
        async with asyncio.timeout(_GRACE):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            _signal(process, terminate=False)
            await process.wait()


def _signal(process: Process, *, terminate: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate() if terminate else process.kill()
