"""What the doorbell of one process promises."""

from __future__ import annotations

import asyncio
import gc

from media_pipeline.queue.doorbell import LocalDoorbell


async def test_a_ring_wakes_a_waiting_listener() -> None:
    """Whoever waits for a ring returns at once when it rings."""
    bell = LocalDoorbell()
    ear = bell.listen("work")
    waiting = asyncio.create_task(ear.wait(3600))
    await asyncio.sleep(0)
    bell.ring("work")
    assert await waiting == {"work"}


async def test_rings_are_kept_until_waited_for() -> None:
    """Rings that came before the wait are returned together, once; others' rings never."""
    bell = LocalDoorbell()
    ear = bell.listen("work", "cancel")
    for ring in ("work", "work", "cancel", "schedule"):
        bell.ring(ring)
    assert await ear.wait(3600) == {"work", "cancel"}
    assert await ear.wait(0) == frozenset()


async def test_a_wake_returns_without_a_ring() -> None:
    """`wake` ends the wait with nothing heard."""
    ear = LocalDoorbell().listen("work")
    ear.wake()
    assert await ear.wait(3600) == frozenset()


async def test_a_listener_that_is_gone_is_forgotten() -> None:
    """The bell keeps no listener alive."""
    bell = LocalDoorbell()
    bell.listen("work")
    gc.collect()
    assert len(bell._listeners) == 0
    bell.ring("work")
