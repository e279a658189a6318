"""What every queue promises between users: nobody's backlog is another's wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

import pytest

from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.job import Job, JobState, Priority, WorkerId

from .engines import Engine
from .people import ANN, BOB, BROKEN, Floor

SLOTS = 5
LENGTH = 10.0
BACKLOG = 10_000
NEWCOMERS = 100


async def test_a_window_is_a_hard_limit(engine: Engine, floor: Floor) -> None:
    """However many slots are free, no more of a user's jobs of a kind run than the window holds."""
    engine.window = 3
    asked = [await floor.ask() for _ in range(6)]
    await floor.ask(kind="video")
    assert [job.state for job in asked] == [JobState.AVAILABLE] * 3 + [JobState.BLOCKED] * 3
    claimed = await floor.claim(await floor.hire())
    assert [job.kind for job in claimed] == ["image"] * 3 + ["video"]


ENDS: Mapping[str, Callable[[Floor, Job], Awaitable[object]]] = {
    "finish": lambda floor, job: floor.succeed(job),
    "fail": lambda floor, job: floor.queue.fail(job.fence, BROKEN),
    "stop": lambda floor, job: floor.queue.stop(job.fence),
}


@pytest.mark.parametrize("end", list(ENDS))
async def test_an_end_lets_the_next_one_in(engine: Engine, floor: Floor, end: str) -> None:
    """The moment a run ends, its user's oldest blocked job is available and the bell rings."""
    engine.window = 1
    job = await floor.start()
    first, second = await floor.ask(), await floor.ask()
    ear = engine.doorbell.listen("work")
    await ENDS[end](floor, job)
    assert await ear.wait(0) == {"work"}
    assert (await floor.state(first), await floor.state(second)) == (JobState.AVAILABLE, JobState.BLOCKED)
    assert (await floor.claim_one()).id == first.id


async def test_a_cancel_lets_the_next_one_in(engine: Engine, floor: Floor) -> None:
    """A cancelled available job frees its place at once; a cancelled blocked one leaves the order."""
    engine.window = 1
    first, second, third = [await floor.ask() for _ in range(3)]
    await floor.queue.cancel(second.id)
    assert await floor.state(third) is JobState.BLOCKED
    await floor.queue.cancel(first.id)
    assert await floor.state(third) is JobState.AVAILABLE


async def test_a_release_keeps_its_own_place(engine: Engine, floor: Floor) -> None:
    """A job that was given back holds its place in the window; a rescued one too."""
    engine.window = 1
    job = await floor.start()
    blocked = await floor.ask()
    await floor.queue.release(job.fence)
    assert (await floor.state(job), await floor.state(blocked)) == (JobState.AVAILABLE, JobState.BLOCKED)
    assert (await floor.claim_one()).id == job.id
    await floor.die()
    assert (await floor.state(job), await floor.state(blocked)) == (JobState.AVAILABLE, JobState.BLOCKED)


async def test_a_rescue_that_ends_a_job_lets_the_next_one_in(engine: Engine, floor: Floor) -> None:
    """A job that ends by rescue frees its place in the same round."""
    engine.window = 1
    job = await floor.start()
    blocked = await floor.ask()
    await floor.queue.cancel(job.id)
    await floor.die()
    assert await floor.state(blocked) is JobState.AVAILABLE


async def test_a_due_job_waits_for_its_slot(engine: Engine, floor: Floor) -> None:
    """A scheduled job that comes due behind a full window is blocked, and runs when there is room."""
    engine.window = 1
    due = await floor.ask(run_in=5)
    job = await floor.start()
    engine.advance(6)
    await floor.queue.tend()
    assert await floor.state(due) is JobState.BLOCKED
    await floor.succeed(job)
    assert (await floor.claim_one()).id == due.id


async def test_a_users_better_lane_is_let_in_first(engine: Engine, floor: Floor) -> None:
    """Of a user's blocked jobs the normal ones come before the low ones."""
    engine.window = 1
    job = await floor.start()
    await floor.ask(priority=Priority.LOW)
    normal = await floor.ask()
    await floor.succeed(job)
    assert (await floor.claim_one()).id == normal.id


async def test_a_claim_that_finds_too_little_lets_the_next_ones_in(engine: Engine, floor: Floor) -> None:
    """Whatever an engine keeps back of a wide window's room, who has slots to fill gets it."""
    engine.window = 48
    for _ in range(50):
        await floor.ask()
    worker = await floor.hire()
    jobs = await floor.claim(worker)
    assert len(jobs) == 48
    for job in jobs[:2]:
        await floor.succeed(job)
    assert len([*await floor.claim(worker), *await floor.claim(worker)]) == 2


async def test_room_that_nobody_claims_is_filled_by_tending(engine: Engine, floor: Floor) -> None:
    """Whatever an engine keeps back of a wide window's room stands there for others after a `tend`."""
    engine.window = 48
    for _ in range(49):
        await floor.ask()
    (first, *_) = await floor.claim(await floor.hire(), limit=48)
    await floor.succeed(first)
    await floor.queue.tend()
    assert sum(depth.states.get("available", 0) for depth in await floor.queue.depth()) == 1


async def test_a_wider_window_is_filled_by_tending(engine: Engine, floor: Floor) -> None:
    """When the setting grew, the next round lets every blocked user's jobs in."""
    engine.window = 1
    for user in (ANN, BOB):
        for _ in range(3):
            await floor.ask(user)
    engine.window = 2
    await floor.queue.tend()
    assert [dict(depth.states) for depth in await floor.queue.depth()] == [{"available": 4, "blocked": 2}]


async def test_a_much_wider_window_is_filled_at_once(engine: Engine, floor: Floor) -> None:
    """However much room there is, one round fills it, and no more than it."""
    engine.window = 1
    await asyncio.gather(*(floor.ask(ANN) for _ in range(80)), floor.ask(BOB), floor.ask(BOB))
    engine.window = 70
    await floor.queue.tend()
    assert [dict(depth.states) for depth in await floor.queue.depth()] == [{"available": 72, "blocked": 10}]


class Simulation:
    """Slots that run jobs of one length, in fake time: claim, wait, finish."""

    def __init__(self, floor: Floor, worker: WorkerId) -> None:
        self.floor = floor
        self.worker = worker
        self.running: list[tuple[float, Job]] = []
        self.started: dict[JobId, float] = {}
        self.idle = 0

    async def fill(self) -> None:
        room = SLOTS - len(self.running)
        now = self.floor.engine.now()
        for job in await self.floor.claim(self.worker, limit=room) if room else []:
            self.running.append((now + LENGTH, job))
            self.started[job.id] = now
        self.idle += SLOTS - len(self.running)

    async def run_until(self, moment: float) -> None:
        """Finish and claim, end by end, until `moment`."""
        while self.running and self.running[0][0] <= moment:
            self._go_to(self.running[0][0])
            _, job = self.running.pop(0)
            await self.floor.succeed(job)
            await self.fill()
        self._go_to(moment)

    def _go_to(self, moment: float) -> None:
        self.floor.engine.advance(max(0.0, moment - self.floor.engine.now()))


async def test_newcomers_start_within_two_job_lengths(engine: Engine, floor: Floor) -> None:
    """While one user holds 10,000 jobs, single jobs of others start within 2 lengths at p99, no slot idle."""
    engine.window = SLOTS
    draw = random.Random(7)
    await asyncio.gather(*(floor.ask(UserId("heavy")) for _ in range(BACKLOG)))
    simulation = Simulation(floor, await floor.hire(lease=1e6))
    for _ in range(SLOTS):  # slots out of step, as in life
        await simulation.fill()
        await simulation.run_until(engine.now() + draw.uniform(0, LENGTH / SLOTS))
    asked: dict[JobId, float] = {}
    for number in range(NEWCOMERS):
        await simulation.run_until(engine.now() + draw.expovariate(2 / LENGTH))
        asked[(await floor.ask(UserId(f"newcomer-{number}"))).id] = engine.now()
        await simulation.fill()
    await simulation.run_until(engine.now() + 3 * LENGTH)
    waits = sorted(simulation.started[job] - at for job, at in asked.items())
    assert len(waits) == NEWCOMERS
    assert waits[int(NEWCOMERS * 0.99)] <= 2 * LENGTH
    assert simulation.idle == 0
