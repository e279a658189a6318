"""The process that works: it listens nowhere but for who reads its metrics, and stops as a service does.

On SIGTERM or SIGINT claims stop at once and running jobs get their grace; what they cannot finish is
given back unspent. A second signal exits without waiting.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

import uvloop

from media_pipeline.heap import spare_heap
from media_pipeline.metrics_server import metrics_served
from media_pipeline.parts import WORK
from media_pipeline.program import Program
from media_pipeline.settings import Settings

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def work(settings: Settings, *, drain: bool, on_ready: Callable[[str], None]) -> None:
    """Run jobs until a signal or, to `drain`, until none waits or runs anywhere.

    `on_ready` is called with the worker's id once jobs are claimed. Raises what keeps the program
    from starting, or `PartDied`.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(Program(settings, roles=WORK), drain=drain, on_ready=on_ready))


async def _work(program: Program, *, drain: bool, on_ready: Callable[[str], None]) -> None:
    signalled = _await_signal()
    if not await _started(program, signalled):
        return
    try:
        async with _metrics(program):
            spare_heap()
            on_ready(program.worker.id)
            ends = [signalled.wait(), program.part_ended(), *([program.until_empty()] if drain else [])]
            waits = [asyncio.create_task(end) for end in ends]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            await program.begin_stop()
    finally:
        await program.stop()


async def _started(program: Program, signalled: asyncio.Event) -> bool:
    """Start the program; False where a signal came while it waited for its database."""
    starting, told = asyncio.create_task(program.start()), asyncio.create_task(signalled.wait())
    await asyncio.wait([starting, told], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not starting.done():
        starting.cancel()
    try:
        await starting
    except asyncio.CancelledError:
        return False
    return True


def _metrics(program: Program) -> AbstractAsyncContextManager[int | None]:
    settings = program.settings
    if settings.media_metrics_port is None:
        return nullcontext()
    return metrics_served(settings.host, settings.media_metrics_port, program.gauges())


def _await_signal() -> asyncio.Event:
    """Return what the first signal sets; from then on a signal has its default effect, which is the end."""
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()

    def take() -> None:
        signalled.set()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in SIGNALS:
        loop.add_signal_handler(number, take)
    return signalled
