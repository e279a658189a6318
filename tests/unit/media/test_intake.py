"""What the first bytes of a file decide, and how sure they must be."""

from __future__ import annotations

import pytest

from media_pipeline.media.intake import Intake, TypeNotAllowed
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.store import StoreError, Version
from tests.integration.program import picture

PATH = "media/ann/job/a.png"


class Garbling(MemoryStore):
    """A store of whose next `flips` answers one bit is turned on the way."""

    flips = 0

    async def read(
        self, path: str, *, start: int = 0, end: int | None = None, version: Version | None = None
    ) -> bytes:
        data = await super().read(path, start=start, end=end, version=version)
        if self.flips:
            self.flips -= 1
            return bytes([data[0] ^ 1]) + data[1:]
        return data


@pytest.fixture
def store() -> Garbling:
    return Garbling("http://nowhere.test")


async def test_a_bit_turned_on_the_way_refuses_no_file(store: Garbling) -> None:
    """A head that reads otherwise the second time was garbled: that is to be tried again, and then passes."""
    await store.upload(PATH, picture(), "image/png")
    intake, store.flips = Intake(store, max_bytes=10**6), 1
    with pytest.raises(StoreError) as caught:
        await intake.check_stored(PATH, announced=None)
    assert caught.value.retryable
    assert (await intake.check_stored(PATH, announced=None))[1] == "image/png"


async def test_a_file_of_another_type_is_refused_at_once(store: Garbling) -> None:
    """A head that reads the same twice is what it is."""
    await store.upload(PATH, b"<html>", "image/png")
    with pytest.raises(TypeNotAllowed):
        await Intake(store, max_bytes=10**6).check_stored(PATH, announced=None)
