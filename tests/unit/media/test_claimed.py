"""What a run may write over."""

from __future__ import annotations

import pytest

from media_pipeline.media.claimed import ClaimedObjects, Overtaken
from media_pipeline.storage.memory import MemoryStore

PATH = "derived/ann/job/thumbnail.webp"


async def test_a_late_write_of_a_dead_run_does_not_fail_the_job() -> None:
    """The newer run, too, is refused what a dead one wrote after it looked; it may then begin again."""
    store = MemoryStore("http://media.test")
    dead = await ClaimedObjects.look(store, [PATH])
    newer = await ClaimedObjects.look(store, [PATH])
    await dead.write(PATH, b"late", "image/webp")
    with pytest.raises(Overtaken) as told:
        await newer.write(PATH, b"newer", "image/webp")
    assert told.value.retryable
    again = await ClaimedObjects.look(store, [PATH])
    await again.write(PATH, b"newer", "image/webp")
    assert await store.read(PATH) == b"newer"
    with pytest.raises(Overtaken):
        await dead.write(PATH, b"later still", "image/webp")
