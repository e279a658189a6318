"""Those who use a queue in these tests: owners who ask, workers who claim."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping

from media_pipeline.ids import JobId, UserId
from media_pipeline.jsonvalue import JsonObject
from media_pipeline.queue.job import Failure, Job, JobState, NewJob, Priority, WorkerId
from media_pipeline.queue.queue import Outcome, Queue

from .engines import Engine

ANN = UserId("ann")
BOB = UserId("bob")
LEASE = 30.0
PAYLOAD: JsonObject = {
    "prompt": "a quiet harbour, ünïcode \u2028",
    "n": 1,
    "nested": {"deep": [1, 2.5, None]},
}
BROKEN = Failure(code="provider_down", message="The provider did not answer.", retryable=True)
REFUSED = Failure(code="refused", message="The provider refused the prompt.")


class Floor:
    """Shorthand over an engine's queue for tests; every name says what happens."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._numbers = itertools.count(1)

    @property
    def queue(self) -> Queue:
        return self.engine.queue

    async def ask(
        self,
        user: UserId = ANN,
        *,
        kind: str = "image",
        priority: Priority = Priority.NORMAL,
        run_in: float | None = None,
        max_failures: int = 5,
        key: str | None = None,
        request_hash: str = "same",
    ) -> Job:
        new = NewJob(
            id=JobId(str(uuid.uuid4())),
            user_id=user,
            kind=kind,
            payload=PAYLOAD,
            priority=priority,
            run_at=None if run_in is None else self.engine.now() + run_in,
            max_failures=max_failures,
            idempotency_key=key,
            request_hash=request_hash,
        )
        return (await self.queue.enqueue(new)).job

    async def hire(self, lease: float = LEASE) -> WorkerId:
        worker = WorkerId(f"worker-{next(self._numbers)}-{uuid.uuid4().hex}")
        await self.queue.register(worker, lease_seconds=lease)
        return worker

    async def claim(
        self, worker: WorkerId, limit: int = 100, *, free: Mapping[str, int] | None = None
    ) -> list[Job]:
        return await self.queue.claim(worker, free or {"image": 1000, "video": 1000}, limit=limit)

    async def claim_one(self) -> Job:
        """Let a new worker claim the next job."""
        (job,) = await self.claim(await self.hire(), limit=1)
        return job

    async def start(self, user: UserId = ANN, *, max_failures: int = 5) -> Job:
        """Enqueue a job and claim it."""
        asked = await self.ask(user, max_failures=max_failures)
        job = await self.claim_one()
        assert job.id == asked.id
        return job

    async def die(self) -> list[Job]:
        """Let every lease run out, and rescue."""
        self.engine.advance(LEASE + 1)
        return await self.rescue()

    async def rescue(self) -> list[Job]:
        """Declare dead who is past its lease, and bring their jobs back."""
        await self.queue.bury()
        return await self.queue.tend()

    async def state(self, job: Job) -> JobState:
        return (await self.queue.get(job.id)).state

    async def succeed(self, job: Job) -> Job:
        return await self.queue.finish(job.fence, Outcome({"items": []}))
