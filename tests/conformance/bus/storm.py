"""A check that any bus must pass: readers come, go and come back amid many publishers."""

import asyncio
import random

from media_pipeline.realtime.bus import Bus, Opening

from .recorder import ANN, Recorder, listen, state

PUBLISHERS = 4
EACH = 40
READERS = 12


async def check_storm(bus: Bus, *, seed: int) -> None:
    """Raise `AssertionError` if a reader misses, repeats or reorders anything."""
    dice = random.Random(seed)
    witness, _ = await listen(bus)
    over = asyncio.Event()
    readers = [asyncio.create_task(_come_and_go(bus, over, dice)) for _ in range(READERS)]
    await asyncio.gather(*(_publish(bus, number) for number in range(PUBLISHERS)))
    over.set()
    recorders = await asyncio.gather(*readers)
    await bus.publish(state("fence"))
    await witness.until("fence")
    for seen in recorders:
        await seen.until("fence")
        begin = witness.positions.index(seen.positions[0])
        assert seen.keys == witness.keys[begin:], "missed, repeated or out of order"
        assert seen.positions == witness.positions[begin:]
        assert Opening.RESET not in seen.openings, "a kept position did not resume"


async def _publish(bus: Bus, number: int) -> None:
    for count in range(EACH):
        await bus.publish(state(f"{number}.{count}"))
        await asyncio.sleep(0)


async def _come_and_go(bus: Bus, over: asyncio.Event, dice: random.Random) -> Recorder:
    seen, subscription = await listen(bus)
    while not over.is_set():
        await _turns(dice.randrange(6))
        subscription.close()
        await _turns(1)
        subscription = await bus.subscribe(ANN, seen, since=seen.positions[-1])
    return seen


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
