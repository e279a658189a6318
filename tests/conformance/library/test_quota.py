"""What a quota promises on every database."""

from __future__ import annotations

import asyncio

import pytest

from media_pipeline.db.database import Database
from media_pipeline.ids import JobId
from media_pipeline.media.library import keep_item
from media_pipeline.media.quota import PROMISE_SECONDS, Quota, QuotaExceeded, settle_promise
from tests.clocks import FakeClock
from tests.conformance.library.test_library import ANN, BOB, item


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def outcomes(quota: Quota, *, uploads: int, size: int) -> list[bool]:
    """Reserve for many uploads at once and tell which were promised."""

    async def reserve(number: int) -> bool:
        try:
            await quota.reserve(ANN, JobId(f"job{number}"), size)
        except QuotaExceeded:
            return False
        return True

    return await asyncio.gather(*map(reserve, range(uploads)))


@pytest.mark.parametrize(
    "limits", [{"max_bytes": 1000}, {"max_objects": 10}, {"max_bytes": 1000, "max_objects": 99}]
)
async def test_parallel_uploads_never_exceed_the_quota(
    database: Database, clock: FakeClock, limits: dict[str, int]
) -> None:
    """Of 300 uploads that begin at once exactly as many are promised as there is room for."""
    first, second = (Quota(database, clock=clock, **limits) for _ in range(2))
    promised = await asyncio.gather(
        outcomes(first, uploads=100, size=100), outcomes(second, uploads=200, size=100)
    )
    told = {number for each in promised for number, accepted in enumerate(each) if accepted}
    assert len(told) == 10
    used = await first.usage(ANN)
    assert (used.bytes, used.objects) == (1000, 10)
    await first.reserve(BOB, JobId("his"), 1000)


async def test_a_promise_becomes_an_item_without_a_gap(database: Database, clock: FakeClock) -> None:
    """An item and its promise are never counted together, nor neither of them."""
    quota = Quota(database, clock=clock, max_bytes=10)
    await quota.reserve(ANN, JobId("job"), 10)
    await database.apply([*keep_item(item("a", size=10)), settle_promise(JobId("job"))])
    assert (await quota.usage(ANN)).bytes == 10
    with pytest.raises(QuotaExceeded):
        await quota.reserve(ANN, JobId("next"), 1)
    with pytest.raises(QuotaExceeded):
        await quota.check_room(ANN)


async def test_a_promise_may_grow_only_within_the_quota(database: Database, clock: FakeClock) -> None:
    """An upload that turns out larger needs room for what it is; refused, it keeps what it was promised."""
    quota = Quota(database, clock=clock, max_bytes=10)
    await quota.reserve(ANN, JobId("one"), 4)
    await quota.reserve(ANN, JobId("two"), 0)
    await quota.reserve(ANN, JobId("two"), 6)
    with pytest.raises(QuotaExceeded, match=r"10 of 10 bytes"):
        await quota.reserve(ANN, JobId("two"), 7)
    assert (await quota.usage(ANN)).bytes == 10
    await quota.release(JobId("two"))
    await quota.release(JobId("two"))
    assert (await quota.usage(ANN)).bytes == 4


async def test_a_forgotten_promise_ends_by_itself(database: Database, clock: FakeClock) -> None:
    """What a dead process reserved is free again when its time is over."""
    quota = Quota(database, clock=clock, max_objects=1)
    await quota.reserve(ANN, JobId("dead"), 5)
    clock.advance(PROMISE_SECONDS + 1)
    await quota.reserve(ANN, JobId("new"), 5)
    await quota.forget_expired()
    assert (await quota.usage(ANN)).objects == 1


async def test_without_a_quota_nothing_is_written(database: Database, clock: FakeClock) -> None:
    """No limit, no promise: any size is taken and none is kept in mind."""
    quota = Quota(database, clock=clock)
    await quota.reserve(ANN, JobId("job"), 1 << 50)
    await quota.check_room(ANN)
    used = await quota.usage(ANN)
    assert (used.bytes, used.objects, used.quota_bytes) == (0, 0, None)
