"""Child processes: started when first needed, used again, stopped in the middle of an order.

A child gets no secret of ours: its environment has what Python and its libraries need to start, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from typing import Any, Final, Generic, TypeVar

import msgspec

from media_pipeline.children.limits import Limits
from media_pipeline.children.wire import PREFIX, pack

_GRACE: Final = 2.0
"""Seconds between asking a child to leave and killing it: one step takes less."""
_INHERITED: Final = frozenset(
    {"PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR"}
)
Order = TypeVar("Order", bound=msgspec.Struct)
Message = TypeVar("Message")


OVERDUE: Final = "overdue"
"""As the status of a lost child: it took too long and was stopped."""


class ChildLost(Exception):
    """A child ended in the middle of an order; `status` is its exit code, negative for a signal."""

    def __init__(self, status: int | str | None) -> None:
        super().__init__(f"a child process ended: {status}")
        self.status = status


class ChildPool(Generic[Order, Message]):
    """At most `size` processes that run `module`; an order that finds all busy waits for one.

    `messages` is what they say: a tagged struct or a union of them. With `limits` they are confined;
    `inherits` names variables that their libraries read.
    """

    def __init__(
        self,
        module: str,
        messages: Any,
        *,
        size: int,
        limits: Limits | None = None,
        inherits: frozenset[str] = frozenset(),
    ) -> None:
        self._command = [sys.executable, "-P", "-m", module, *([] if limits is None else [limits.write()])]
        self._decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(messages)
        self._inherited = _INHERITED | inherits
        self._free = asyncio.Semaphore(size)
        self._idle: list[Process] = []
        self._busy: set[Process] = set()
        self._waiting = 0

    @property
    def ahead(self) -> int | None:
        """How many orders wait before a new one; None when a child is free."""
        return self._waiting if self._free.locked() else None

    @property
    def working(self) -> tuple[int, ...]:
        """The process ids of the children that work now."""
        return tuple(process.pid for process in self._busy)

    async def ask(self, order: Order, *, seconds: float | None = None) -> AsyncGenerator[Message, None]:
        """Yield what a child says until it is done; closing the generator earlier ends the child.

        Raises `ChildLost` when the child dies or takes longer than `seconds`; the next order gets a new one.
        """
        async with self._seat():
            process = await self._take()
            done = False
            try:
                messages = self._converse(process, order)
                async with contextlib.aclosing(messages), _at_most(seconds):
                    async for message in messages:
                        yield message
                done = True
            finally:
                await (self._give_back(process) if done else self._discard(process))

    async def aclose(self) -> None:
        """Stop every child."""
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
        self._idle = [process for process in self._idle if process.returncode is None]
        process = self._idle.pop() if self._idle else await self._start()
        self._busy.add(process)
        return process

    async def _give_back(self, process: Process) -> None:
        self._busy.discard(process)
        self._idle.append(process)

    async def _discard(self, process: Process) -> None:
        self._busy.discard(process)
        await _stop(process)

    async def _start(self) -> Process:
        # OpenBLAS is not used; without this every child would keep threads for it.
        environment = {name: value for name, value in os.environ.items() if name in self._inherited}
        environment["OPENBLAS_NUM_THREADS"] = "1"
        return await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE, env=environment)

    async def _converse(self, process: Process, order: Order) -> AsyncGenerator[Message, None]:
        assert process.stdin is not None  # noqa: S101 - asked for at its start
        assert process.stdout is not None  # noqa: S101 - asked for at its start
        try:
            process.stdin.write(pack(order))
            await process.stdin.drain()
            while length := PREFIX.unpack(await process.stdout.readexactly(PREFIX.size))[0]:
                yield self._decoder.decode(await process.stdout.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ChildLost(await _status(process)) from error


@contextlib.asynccontextmanager
async def _at_most(seconds: float | None) -> AsyncGenerator[None, None]:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if limit.expired():
            raise ChildLost(OVERDUE) from error
        raise


async def _status(process: Process) -> int | None:
    """Return what a child that is going ended with; asking it to go as well would hide that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE):
            return await process.wait()
    return None


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
