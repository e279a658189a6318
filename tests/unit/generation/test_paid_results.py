"""A result that was paid and could not be kept is fetched again or not at all: never bought twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from media_pipeline.db.migrate import migrate
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.errors import MediaPipelineError
from media_pipeline.generation.handlers import ImageHandler
from media_pipeline.generation.manager import MediaGenerationManager
from media_pipeline.generation.provider import ErrorCode, Submitting, Usage
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.workshop.workshop import Workshop
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.handler import Run, describe_failure
from media_pipeline.queue.job import Failure, Job, NewJob, WorkerId
from media_pipeline.queue.queue import Outcome
from media_pipeline.queue.sqlite import SqliteQueue
from media_pipeline.realtime.events import Event
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.store import PreconditionFailed, StoreError, Version
from tests.servers.media import still

from .scripted import HANDLE, PICTURE, TAKEN, NotingClock, Script, Scripted, failing, insist

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = replace(PICTURE, data=still(1, 64, 64))
BROKEN = replace(PICTURE, data=still(1, 64, 64)[:60])
FOLLOWED: Script = [*TAKEN, GOOD]
AT_ONCE: Script = [Submitting(), GOOD]
"""What a provider tells whose call ends with its connection."""
REFUSED = StoreError("The store is away.")
OVERTAKEN = PreconditionFailed("Another version stands there.")
WORKER = WorkerId("w")


class RefusingStore(MemoryStore):
    """Refuses one write of a result for each of its `refusals`."""

    def __init__(self) -> None:
        super().__init__("http://media.test")
        self.refusals: list[Exception] = []

    async def write(
        self,
        path: str,
        data: bytes | AsyncIterator[bytes],
        content_type: str,
        *,
        if_version: Version | None = None,
    ) -> Version:
        if self.refusals and path.startswith("media/"):
            raise self.refusals.pop()
        return await super().write(path, data, content_type, if_version=if_version)


class Silence:
    """A publisher whom nobody hears."""

    async def publish(self, user_id: UserId, event: Event) -> None: ...


@dataclass
class Studio:
    """One job, the provider that is asked for it, and where its result goes."""

    provider: Scripted
    store: RefusingStore
    queue: SqliteQueue
    workshop: Workshop

    async def run(self) -> Outcome | Failure:
        """Run the job as a worker does that dies before it writes down how the run ended."""
        [job] = await self.queue.claim(WORKER, {"generate.image": 1}, limit=1)
        try:
            return await self.handler(Run(job, self.queue, insist))
        except MediaPipelineError as error:
            return describe_failure(error)
        finally:
            await self.queue.release(job.fence)

    @property
    def handler(self) -> ImageHandler:
        manager = MediaGenerationManager([self.provider], clock=NotingClock(), attempts=1)
        return ImageHandler(
            manager,
            self.store,
            Silence(),
            workshop=self.workshop,
        )

    async def job(self) -> Job:
        return await self.queue.get(JobId("j"))


@pytest_asyncio.fixture(loop_scope="module")
async def studio(workshop: Workshop) -> AsyncIterator[Studio]:
    database = SqliteDatabase()
    await database.open()
    await migrate(database)
    queue = SqliteQueue(database, LocalDoorbell())
    await queue.register(WORKER, lease_seconds=3600)
    await queue.enqueue(
        NewJob(id=JobId("j"), user_id=UserId("ann"), kind="generate.image", payload={"prompt": "waves"})
    )
    yield Studio(Scripted(scripts=[FOLLOWED], resumes=[[GOOD]]), RefusingStore(), queue, workshop)
    await database.aclose()


@pytest.mark.parametrize("refusal", [REFUSED, OVERTAKEN], ids=["away", "overtaken"])
async def test_a_result_that_was_not_kept_is_fetched_again(studio: Studio, refusal: Exception) -> None:
    """When storage refuses a result, the next run has it again by its handle and asks for nothing new."""
    studio.store.refusals = [refusal]
    first = await studio.run()
    assert isinstance(first, Failure)
    assert first.retryable
    assert isinstance(await studio.run(), Outcome)
    assert (studio.provider.generated, studio.provider.resumed) == (1, [HANDLE])


async def test_a_result_that_was_not_committed_is_fetched_again(studio: Studio) -> None:
    """A worker that dies between the end of an attempt and its commit leaves a job that is resumed."""
    assert isinstance(await studio.run(), Outcome)
    assert isinstance(await studio.run(), Outcome)
    assert (studio.provider.generated, studio.provider.resumed) == (1, [HANDLE])


@pytest.mark.parametrize("refusals", [[], [REFUSED], [OVERTAKEN]], ids=["killed", "away", "overtaken"])
async def test_a_result_that_is_given_once_is_not_bought_again(
    studio: Studio, refusals: list[Exception]
) -> None:
    """Where a call ends with its connection, a result that was lost fails the job, in every later run."""
    studio.provider.scripts, studio.store.refusals = [AT_ONCE], list(refusals)
    first, second = await studio.run(), await studio.run()
    assert isinstance(second, Failure)
    assert (second.code, second.retryable) == ("result_expired", False)
    assert isinstance(first, Outcome) if not refusals else first == second
    assert studio.provider.generated == 1


@pytest.mark.parametrize("before", [TAKEN, (Submitting(),)], ids=["followed", "at once"])
async def test_a_paid_result_that_is_no_good_is_not_bought_again(studio: Studio, before: Script) -> None:
    """A result that does not decode fails the job with what was wrong, in every later run."""
    studio.provider.scripts = [[*before, BROKEN]]
    first = await studio.run()
    assert isinstance(first, Failure)
    assert (first.code, first.retryable) == ("bad_output", False)
    assert await studio.run() == first
    assert (studio.provider.generated, studio.provider.resumed) == (1, [])
    [attempt] = (await studio.job()).attempts
    assert (attempt.code, attempt.final) == ("bad_output", True)


async def test_a_free_result_that_is_no_good_is_made_again(studio: Studio) -> None:
    """What nobody paid for may be made again."""
    studio.provider.scripts = [[BROKEN], [GOOD]]
    first = await studio.run()
    assert isinstance(first, Failure)
    assert first.retryable
    assert isinstance(await studio.run(), Outcome)


@pytest.mark.parametrize("before", [TAKEN, (Submitting(),)], ids=["followed", "at once"])
@pytest.mark.parametrize("reason", list(ErrorCode))
async def test_a_failure_that_was_not_committed_stands(
    studio: Studio, reason: ErrorCode, before: Script
) -> None:
    """A worker that dies before a paid job's failure is written leaves that failure to the next one.

    Only a definite word of the provider, that it refused or failed the work, lets it be asked again.
    """
    studio.provider.scripts = [[*before, failing(reason)], [GOOD]]
    studio.provider.resumes = [[failing(reason)]]
    first, second = await studio.run(), await studio.run()
    assert isinstance(first, Failure)
    if studio.provider.generated == 1:
        assert second == first
    else:
        assert isinstance(second, Outcome)
        refused = {ErrorCode.RATE_LIMITED, ErrorCode.OVERLOADED, ErrorCode.PROVIDER} | {
            *(ErrorCode.AUTH, ErrorCode.QUOTA, ErrorCode.GONE, ErrorCode.UNSUPPORTED)
        }
        assert reason in (refused if before is not TAKEN else {ErrorCode.PROVIDER})


async def test_the_log_tells_how_each_attempt_came_out(studio: Studio) -> None:
    """Every attempt is one event of the log, with its cost where it is known and nothing of the request."""
    refusal: Script = [Submitting(), failing(ErrorCode.OVERLOADED)]
    studio.provider.scripts = [refusal, [*TAKEN, Usage({}, 0.04), GOOD]]
    with capture_logs() as logs:
        await studio.run()
        await studio.run()
    told = [event for event in logs if event["event"] == "generation.attempt"]
    assert [(each["outcome"], each["cost_usd"]) for each in told] == [("overloaded", None), ("ok", 0.04)]
    assert all((each["provider"], each["model"]) == ("one", "m") and each["seconds"] >= 0 for each in told)
    assert "waves" not in repr(told)
