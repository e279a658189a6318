"""Rows and objects agree again after a sweep, and nothing that belongs together is parted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from media_pipeline.media.sweeper import AGE, Swept
from tests.integration.program import Api, LeapingClock, Running, picture, running

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def clock() -> LeapingClock:
    return LeapingClock()


@pytest_asyncio.fixture(loop_scope="session")
async def swept(clock: LeapingClock) -> AsyncIterator[Running]:
    """A program of its own, for a sweep goes through everything."""
    async with running(clock=clock) as service:
        yield service


@pytest.fixture
def owner(swept: Running) -> Api:
    return swept.user(f"user-{uuid4().hex}")


async def put(service: Running, path: str) -> None:
    await service.program.store.upload(path, picture(), "image/png")


async def test_only_orphans_are_removed(swept: Running, owner: Api, clock: LeapingClock) -> None:
    """What an ended job left beside its rows goes; rows' objects, young ones and unknown jobs' stay."""
    made, failed = await owner.generate(n=2), (await owner.init(filename="a.png", contentType=""))["jobId"]
    await owner.end(made)
    assert (await owner.ask("POST", f"/jobs/{failed}/cancel")).status_code == 202
    await owner.end(failed)
    before = await swept.objects(owner)
    root = f"media/{owner.user}"
    orphans = [f"{root}/images/{made}_7.png", f"{root}/{failed}/a.png", f"derived/{owner.user}/{failed}/x"]
    strangers = [f"{root}/images/{uuid4()}_0.png", f"{root}/by-hand.png", f"{root}/a/b/c/d"]
    for path in (*orphans, *strangers):
        await put(swept, path)
    assert await swept.program.sweeper.sweep() == Swept()
    clock.leap(AGE + 1)
    young = f"{root}/images/{made}_8.png"
    await put(swept, young)
    assert await swept.program.sweeper.sweep() == Swept(objects=len(orphans))
    assert sorted(await swept.objects(owner)) == sorted([*before, *strangers, young])
    assert len(await owner.items()) == 2


async def test_a_row_without_its_object_goes(swept: Running, owner: Api) -> None:
    """An item whose object was taken from the bucket leaves the library, and open pages hear of it."""
    gone, kept = [(await owner.upload(picture()))["objectPath"] for _ in range(2)]
    await swept.program.store.delete(gone)
    async with owner.events() as stream:
        await stream.until("ready")
        assert await swept.program.sweeper.sweep() == Swept(rows=1)
        told = (await stream.until("media_deleted"))[-1]
    assert told.data["paths"] == [gone]
    assert [item["path"] for item in await owner.items()] == [kept]


async def test_an_empty_bucket_takes_no_library_away(swept: Running, owner: Api) -> None:
    """When most objects are missing the store is the wrong one, and every row stays."""
    await owner.end(await owner.generate(n=8))
    await owner.end(await owner.generate(n=4))
    for path in await swept.objects(owner):
        await swept.program.store.delete(path)
    assert await swept.program.sweeper.sweep() == Swept()
    assert len(await owner.items()) == 12
