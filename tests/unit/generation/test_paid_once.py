"""What a run could not keep is fetched again from who made it, and never ordered again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from media_pipeline.generation.handlers import ImageHandler
from media_pipeline.generation.manager import MediaGenerationManager
from media_pipeline.generation.provider import ProviderEvent, Submitting
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.claimed import Overtaken
from media_pipeline.media.workshop.workshop import Workshop
from media_pipeline.queue.handler import Run, describe_failure
from media_pipeline.queue.job import Job, JobState, NewJob, WorkerId
from media_pipeline.queue.queue import JobFailed, Outcome
from media_pipeline.realtime.events import Event
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.paths import image_path
from media_pipeline.storage.store import Store
from tests.integration.program import picture
from tests.unit.queue.doubles import Stage, staged

from .scripted import HANDLE, PICTURE, TAKEN, NotingClock, Script, Scripted

MADE = replace(PICTURE, data=picture())
ORDERED: Script = [*TAKEN, MADE]
ANSWERED: Script = [Submitting(), MADE]
"""A provider whose answer is the result: there is no handle to come back with."""


class Nobody:
    """Hears nothing."""

    async def publish(self, user_id: UserId, event: Event) -> None: ...


@dataclass
class Overtaking(Scripted):
    """While it works, a run that was given up for dead writes to the same place."""

    store: MemoryStore | None = None

    async def _play(self, script: Script) -> AsyncGenerator[ProviderEvent, None]:
        if self.store is not None:
            store, self.store = self.store, None
            await store.upload(image_path(UserId("ann"), JobId("j"), 0), picture(), "image/png")
        async for event in super()._play(script):
            yield event


@dataclass
class Runs:
    """One paid job that is run again and again by a new worker."""

    stage: Stage
    provider: Scripted
    store: Store | None = None
    workshop: Workshop = field(default_factory=lambda: Workshop(processes=1))
    workers: int = 0

    async def ask(self) -> None:
        new = NewJob(id=JobId("j"), user_id=UserId("ann"), kind="generate.image", payload={"prompt": "x"})
        await self.stage.queue.enqueue(new)

    async def claim(self) -> Job:
        self.workers += 1
        worker = WorkerId(f"w{self.workers}")
        await self.stage.queue.register(worker, lease_seconds=60)
        (job,) = await self.stage.queue.claim(worker, {"generate.image": 1}, limit=1)
        return job

    async def run(self, job: Job) -> Outcome:
        manager = MediaGenerationManager([self.provider], clock=NotingClock())
        handler = ImageHandler(manager, self.store, Nobody(), workshop=self.workshop, clock=self.stage.clock)
        return await handler(Run(job, self.stage.queue, _once))

    async def die(self, job: Job) -> None:
        """Let the worker die after the provider's work is done and before the job's end is written."""
        await self.run(job)
        await self.stage.queue.retire(job.fence.worker_id)
        await self.stage.queue.tend()


async def _once(write: Callable[[], Awaitable[None]]) -> None:
    await write()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as stage:
        yield stage


async def test_a_result_lost_with_its_run_is_fetched_by_its_handle(stage: Stage) -> None:
    """However often a worker dies between a provider's good end and the job's, it is asked once."""
    runs = Runs(stage, Scripted(scripts=[ORDERED], resumes=[[MADE]]))
    await runs.ask()
    await runs.die(await runs.claim())
    await runs.die(await runs.claim())
    job = await runs.claim()
    outcome = await runs.run(job)
    assert (await stage.queue.finish(job.fence, outcome)).state is JobState.SUCCEEDED
    assert (runs.provider.generated, runs.provider.resumed) == (1, [HANDLE, HANDLE])


async def test_a_lost_result_without_a_handle_is_not_ordered_again(stage: Stage) -> None:
    """Where nothing is left to fetch it by, the job fails and says so."""
    runs = Runs(stage, Scripted(scripts=[ANSWERED]))
    await runs.ask()
    await runs.die(await runs.claim())
    with pytest.raises(JobFailed) as failed:
        await runs.run(await runs.claim())
    assert (failed.value.failure.code, failed.value.failure.retryable) == ("result_expired", False)
    assert runs.provider.generated == 1


async def test_an_overtaken_run_begins_again_without_a_second_order(stage: Stage) -> None:
    """A run whose write was overtaken by a dead one is repeated, and what was paid is fetched."""
    store = MemoryStore("http://media.test")
    runs = Runs(stage, Overtaking(scripts=[ORDERED], resumes=[[MADE]], store=store), store)
    await runs.ask()
    job = await runs.claim()
    with pytest.raises(Overtaken) as overtaken:
        await runs.run(job)
    failure = describe_failure(overtaken.value)
    assert (await stage.queue.fail(job.fence, failure)).state is JobState.SCHEDULED
    await stage.queue.hasten(job.id)
    again = await runs.claim()
    assert (await runs.run(again)).result["provider"] == "one"
    assert (runs.provider.generated, len(runs.provider.resumed)) == (1, 1)
    await runs.workshop.aclose()
    await store.aclose()


async def test_a_free_provider_is_simply_asked_again(stage: Stage) -> None:
    """A provider that never says that a call may cost money makes the lost result again."""
    runs = Runs(stage, Scripted(scripts=[[MADE]]))
    await runs.ask()
    await runs.die(await runs.claim())
    assert (await runs.run(await runs.claim())).result["provider"] == "one"
    assert runs.provider.generated == 2
