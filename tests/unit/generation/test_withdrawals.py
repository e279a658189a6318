"""Whatever ends a job, a provider that still works on it is asked to stop, and what it answered is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
import pytest

from media_pipeline.generation.attempts import charged_by
from media_pipeline.generation.handlers import ImageHandler
from media_pipeline.generation.manager import MediaGenerationManager
from media_pipeline.generation.provider import CancelOutcome, ErrorCode, Handle, ProviderError
from media_pipeline.generation.withdrawals import Withdrawals
from media_pipeline.queue.handler import Run, describe_failure
from media_pipeline.queue.job import Attempt, Failure, Job, JobState, WorkerId
from media_pipeline.queue.queue import JobFailed, Outcome
from tests.unit.queue.doubles import Stage, staged

from .scripted import HANDLE, NotingClock, Scripted, failing

KIND = "generate.image"
WORKER = WorkerId("w")
TAKEN = Attempt(number=1, provider="one", model="m", started_at=1.0, submitting=True, handle=HANDLE)
LATE = Failure(code="deadline", message="It took too long.")


@dataclass
class Stoppable(Scripted):
    """Plays `answers` to its cancels, the last one for ever; an event is waited for."""

    answers: list[CancelOutcome | ProviderError | asyncio.Event] = field(
        default_factory=lambda: ["requested"]
    )
    asked: list[Handle] = field(default_factory=list)

    async def cancel(self, handle: Handle) -> CancelOutcome:
        self.asked.append(handle)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return "cancelled"
        if isinstance(answer, ProviderError):
            raise answer
        return answer


@dataclass
class Listener:
    """Hears ends, and settles them."""

    stage: Stage
    heard: list[Job] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def started(self, job: Job) -> None: ...

    async def lost(self, job: Job) -> None: ...

    async def ended(self, job: Job) -> None:
        await self.stage.queue.settle(job.id)
        self.heard.append(job)
        self.news.set()


@dataclass
class House:
    """A queue, one provider, and who stops what is left there."""

    stage: Stage
    listener: Listener
    provider: Stoppable

    def withdrawals(self) -> Withdrawals:
        manager = MediaGenerationManager([self.provider], clock=NotingClock())
        return Withdrawals(self.listener, self.stage.queue, manager, clock=self.stage.clock)

    async def taken(self, *attempts: Attempt) -> Job:
        """Return a job that runs, with these attempts on its record."""
        queue = self.stage.queue
        await self.stage.ask(KIND)
        await queue.register(WORKER, lease_seconds=60)
        [job] = await queue.claim(WORKER, {KIND: 1}, limit=1)
        await queue.record(job.fence, attempts)
        return job

    async def told(self, job: Job) -> Attempt:
        """Bring a job's end to whoever tells it; return its last attempt as it was told."""
        await self.withdrawals().ended(job)
        await self.listener.news.wait()
        return self.listener.heard[-1].attempts[-1]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with staged() as stage:
        yield House(stage, Listener(stage), Stoppable())


async def between_runs(house: House) -> Job:
    job = await house.taken(TAKEN)
    await house.stage.queue.fail(job.fence, Failure(code="network", message="Gone.", retryable=True))
    return await house.stage.queue.cancel(job.id)


async def rescued(house: House) -> Job:
    job = await house.taken(TAKEN)
    await house.stage.queue.retire(WORKER)
    await house.stage.queue.tend()
    return await house.stage.queue.cancel(job.id)


async def died_with_its_worker(house: House) -> Job:
    job = await house.taken(TAKEN)
    await house.stage.queue.cancel(job.id)
    await house.stage.queue.retire(WORKER)
    [ended] = await house.stage.queue.tend()
    return ended


async def as_it_ran(house: House) -> Job:
    return await house.stage.queue.stop((await house.taken(TAKEN)).fence)


async def too_late(house: House) -> Job:
    return await house.stage.queue.fail((await house.taken(TAKEN)).fence, LATE)


ENDS = [between_runs, rescued, died_with_its_worker, as_it_ran, too_late]


@pytest.mark.parametrize("end", ENDS)
async def test_an_abandoned_job_is_stopped_at_its_provider(
    end: Callable[[House], Awaitable[Job]], house: House
) -> None:
    """However a job ends that a provider has, the provider is asked to stop before the end is told."""
    job = await end(house)
    assert (job.ended, house.provider.asked) == (True, [])
    attempt = await house.told(job)
    assert (house.provider.asked, attempt.cancel) == ([HANDLE], "requested")
    assert attempt.ended_at == house.stage.clock.now()
    assert (await house.stage.queue.get(job.id)).attempts[-1] == attempt


async def test_what_is_over_is_told_at_once(house: House) -> None:
    """Nobody is asked about an attempt that has ended, nor about a job that went well."""
    over = Attempt(number=1, provider="one", model="m", started_at=1.0, ended_at=2.0, submitting=True)
    job = await house.taken(over)
    await house.withdrawals().ended(await house.stage.queue.stop(job.fence))
    other = await house.taken(TAKEN)
    await house.withdrawals().ended(await house.stage.queue.finish(other.fence, Outcome({})))
    assert (len(house.listener.heard), house.provider.asked) == (2, [])


async def test_a_question_that_fails_in_passing_is_asked_again(house: House) -> None:
    """A provider that cannot be reached for a moment is asked to stop all the same."""
    house.provider.answers = [failing(ErrorCode.NETWORK), "cancelled"]
    attempt = await house.told(await as_it_ran(house))
    assert (len(house.provider.asked), attempt.cancel) == (2, "cancelled")


@pytest.mark.parametrize(("reason", "asked"), [(ErrorCode.NETWORK, 3), (ErrorCode.AUTH, 1)])
async def test_an_answer_that_never_comes_is_unknown(reason: ErrorCode, asked: int, house: House) -> None:
    """A provider that does not answer holds up no end: nobody knows whether it stopped, and so it stands."""
    house.provider.answers = [failing(reason)]
    attempt = await house.told(await as_it_ran(house))
    assert (len(house.provider.asked), attempt.cancel) == (asked, "unknown")


async def test_a_job_without_a_handle_asks_nobody(house: House) -> None:
    """Where only the intent to submit is known, whoever cancels is told that nobody knows."""
    intent = Attempt(number=1, provider="one", model="m", started_at=1.0, submitting=True)
    job = await house.taken(intent)
    attempt = await house.told(await house.stage.queue.stop(job.fence))
    assert (house.provider.asked, attempt.cancel) == ([], "unknown")


async def test_an_end_that_comes_twice_is_asked_about_once(house: House) -> None:
    """While a provider is asked, whoever else brings the same end starts nothing."""
    gate = asyncio.Event()
    house.provider.answers = [gate]
    job, withdrawals = await as_it_ran(house), house.withdrawals()
    await withdrawals.ended(job)
    await withdrawals.ended(job)
    gate.set()
    await withdrawals.aclose()
    assert (len(house.provider.asked), len(house.listener.heard)) == (1, 1)


async def test_what_a_dead_process_left_is_done_by_another(house: House) -> None:
    """An end whose withdrawal could not be written down stays untold, and the next one brings it again."""
    job = await as_it_ran(house)
    first = house.withdrawals()
    house.stage.queue.down = frozenset({"amend"})
    await first.ended(job)
    await first.aclose()
    assert house.listener.heard == []
    house.stage.queue.down = frozenset()
    house.stage.clock.advance(1)
    [left] = await house.stage.queue.unsettled(older_than=0)
    assert (await house.told(left)).cancel == "requested"


async def test_a_deadline_leaves_its_job_to_whoever_tells_the_end(house: House) -> None:
    """A job whose time was over before another worker came fails for good, and its attempt stays open."""
    job = await house.taken(TAKEN)
    manager = MediaGenerationManager([house.provider], clock=NotingClock())
    handler = ImageHandler(manager, None, Silent(), deadline=0.0, clock=house.stage.clock)
    again = msgspec.structs.replace(await house.stage.queue.get(job.id), payload={"prompt": "x"})
    with pytest.raises(JobFailed) as failed:
        await handler(Run(again, house.stage.queue, once))
    failure = describe_failure(failed.value)
    assert (failure.code, failure.retryable, house.provider.generated) == ("deadline", False, 0)
    attempt = await house.told(await house.stage.queue.fail(job.fence, failure))
    assert (house.provider.asked, attempt.cancel) == ([HANDLE], "requested")


class Silent:
    """A publisher whom nobody hears."""

    async def publish(self, user_id: object, event: object) -> None: ...


async def once(write: Callable[[], Awaitable[None]]) -> None:
    await write()


def attempt(**changes: object) -> Attempt:
    fields: dict[str, object] = {"number": 1, "provider": "one", "model": "m", "started_at": 1.0, **changes}
    return Attempt(**fields)  # type: ignore[arg-type] # any field may be given


PAID = {"submitting": True, "ended_at": 2.0}


@pytest.mark.parametrize(
    ("last", "state", "charged"),
    [
        pytest.param(attempt(), JobState.FAILED, False, id="never asked"),
        pytest.param(attempt(submitting=True), JobState.FAILED, True, id="no answer"),
        pytest.param(attempt(submitting=True, handle=HANDLE), JobState.FAILED, True, id="out of sight"),
        pytest.param(attempt(**PAID), JobState.FAILED, True, id="made, then lost"),
        pytest.param(attempt(**PAID, code="submitted_unknown"), JobState.FAILED, True, id="unknown"),
        pytest.param(
            attempt(**PAID, code="result_expired", handle=HANDLE), JobState.FAILED, True, id="expired"
        ),
        pytest.param(attempt(**PAID, code="bad_output", handle=HANDLE), JobState.FAILED, True, id="no good"),
        pytest.param(attempt(**PAID, code="auth", handle=HANDLE), JobState.FAILED, True, id="key lost"),
        pytest.param(attempt(**PAID, code="auth"), JobState.FAILED, False, id="key refused"),
        pytest.param(
            attempt(**PAID, code="provider_error", handle=HANDLE), JobState.FAILED, False, id="failed"
        ),
        pytest.param(attempt(**PAID, code="content_policy_input"), JobState.FAILED, False, id="refused"),
        pytest.param(attempt(code="bad_output", ended_at=2.0), JobState.FAILED, False, id="free"),
        pytest.param(attempt(**PAID, cancel="too_late"), JobState.CANCELLED, True, id="stopped too late"),
        pytest.param(attempt(**PAID, cancel="unknown"), JobState.FAILED, True, id="perhaps stopped"),
        pytest.param(attempt(**PAID, cancel="cancelled"), JobState.CANCELLED, False, id="stopped"),
        pytest.param(attempt(**PAID), JobState.SUCCEEDED, False, id="kept"),
    ],
)
async def test_a_second_charge_is_warned_of(
    last: Attempt, state: JobState, charged: bool, house: House
) -> None:
    """A job that a provider may charge for, although nothing of it was kept, names that provider."""
    asked = await house.stage.ask(KIND)
    ended = msgspec.structs.replace(asked, state=state, attempts=[last])
    assert charged_by(ended) == ("one" if charged else None)
