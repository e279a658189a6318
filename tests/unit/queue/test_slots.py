"""What slots and deadlines promise."""

from __future__ import annotations

import asyncio

import pytest

from media_pipeline.queue.deadline import Deadline
from media_pipeline.queue.handler import DeadlineExceeded
from media_pipeline.queue.slots import Slots


def test_no_kind_gets_more_slots_than_its_limit_or_than_there_are() -> None:
    """Free slots are what a kind's own limit leaves of its share."""
    slots = Slots(["image", "video"], total=3, per_kind={"video": 1, "image": 9})
    slots.take("video")
    assert slots.free() == {"image": 3}
    assert slots.room(held=1) == 2


def test_ends_being_written_hold_at_most_one_more_round() -> None:
    """Jobs whose ends are not written yet leave their slots, until there are as many of them as slots."""
    slots = Slots(["image"], total=3, per_kind={})
    assert slots.room(held=4) == 2
    assert slots.room(held=5) == 1
    assert slots.room(held=6) == 0


@pytest.mark.parametrize(("total", "claim"), [(1, 1), (4, 2), (5, 3)])
def test_a_claim_is_at_most_half_of_the_slots(total: int, claim: int) -> None:
    """One half is at work while the other is claimed."""
    assert Slots(["image"], total=total, per_kind={}).room(held=0) == claim


def test_another_kind_comes_first_each_time() -> None:
    """Kinds take turns at the head, so that none starves behind another."""
    slots = Slots(["image", "video"], total=1, per_kind={})
    assert {next(iter(slots.free())) for _ in range(2)} == {"image", "video"}


async def test_what_is_cut_short_by_its_deadline_says_so() -> None:
    """A task that stays inside for too long is interrupted there and may go on outside."""

    async def work() -> str:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(DeadlineExceeded), Deadline(task, 0.001):
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        return f"{task.cancelling()} cancels left"

    assert await asyncio.create_task(work()) == "0 cancels left"


async def test_a_cancel_that_is_not_the_deadlines_stays_a_cancel() -> None:
    """Who is cancelled by somebody else, also at the same time, is cancelled."""
    inside = asyncio.Event()

    async def work(seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        with Deadline(task, seconds):
            inside.set()
            await asyncio.Event().wait()

    for seconds in (60.0, 0.0):
        inside.clear()
        task = asyncio.create_task(work(seconds))
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
