"""What a run may write over."""

from __future__ import annotations

from typing import NoReturn

import pytest

from media_pipeline.media.claimed import ClaimedObjects, Overtaken
from media_pipeline.storage.memory import MemoryStore

PATH = "derived/ann/job/thumbnail.webp"


class Unasked(MemoryStore):
    """A store that nobody may ask what stands there."""

    async def stat(self, path: str) -> NoReturn:
        raise AssertionError(path)


async def test_a_late_write_of_a_dead_run_does_not_fail_the_job() -> None:
    """The newer run, too, is refused what a dead one wrote after it looked; it may then begin again."""
    store = MemoryStore("http://media.test")
    dead = await ClaimedObjects.claim(store, [PATH], attempt=1)
    newer = await ClaimedObjects.claim(store, [PATH], attempt=2)
    await dead.write(PATH, b"late", "image/webp")
    with pytest.raises(Overtaken) as told:
        await newer.write(PATH, b"newer", "image/webp")
    assert told.value.retryable
    again = await ClaimedObjects.claim(store, [PATH], attempt=3)
    await again.write(PATH, b"newer", "image/webp")
    assert await store.read(PATH) == b"newer"
    with pytest.raises(Overtaken):
        await dead.write(PATH, b"later still", "image/webp")


async def test_the_first_run_asks_the_store_for_nothing() -> None:
    """Nobody wrote before it, and a write says itself which version it made."""
    store = Unasked("http://media.test")
    first = await ClaimedObjects.claim(store, [PATH], attempt=1)
    await first.write(PATH, b"one", "image/webp")
    await first.write(PATH, b"another", "image/webp")
    assert await store.read(PATH) == b"another"
