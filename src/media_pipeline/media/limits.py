"""How much a user may ask for: requests a minute, unfinished jobs, generated items and provider spend a day.

Guarantees, over every process on one database: no request and no job is let in over a limit, however many
come at once; what a job was promised is given back when it ends without having cost it. A day is one of UTC.
Not guaranteed: that the spend stays under its limit where a provider charges more than its published
price, or publishes none; what it says afterwards is counted and closes the day for further jobs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from media_pipeline.clock import Clock
from media_pipeline.db.database import Database, Effect, Params
from media_pipeline.db.statements import load_statements
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.expense import Expense, settled_expense
from media_pipeline.queue.job import Job, NewJob
from media_pipeline.queue.queue import JobNotFound, Queue

Name = Literal["requests", "jobs", "items", "spend"]
MINUTE: Final = 60
DAY: Final = 24 * 3600
SOON: Final = 5.0
"""Seconds after which a job may have ended and made room."""
_SQL: Final = load_statements("media_pipeline.media", "sql/limits.sql")
_NO_LIMIT: Final = 1 << 60
_SENTENCES: Final[Mapping[Name, str]] = {
    "requests": "That were more than {limit:,.0f} requests in a minute; slow down.",
    "jobs": "{limit:,.0f} of your jobs wait or run; let one end first.",
    "items": "Today's {limit:,.0f} generated items leave {left:,.0f}; the day ends at midnight UTC.",
    "spend": "Today's ${limit:,.2f} at providers leave ${left:,.2f}; the day ends at midnight UTC.",
}
_CODES: Final[Mapping[Name, str]] = {
    "requests": "too_many_requests",
    "jobs": "too_many_jobs",
    "items": "daily_items_used",
    "spend": "daily_spend_used",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one user may ask for; None is no limit. `spend` in US dollars."""

    requests: int | None = None
    jobs: int | None = None
    items: int | None = None
    spend: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a user's limit stands; `window` is its length and `resets` its end, in seconds from now."""

    name: Name
    limit: float
    left: float
    window: int | None = None
    resets: float | None = None


class LimitReached(MediaPipelineError):
    """The user asked for more than a limit allows; `retry_after` seconds from now there may be room."""

    code: ClassVar[str] = "too_many_requests"
    retryable: ClassVar[bool] = True

    def __init__(self, standing: Standing) -> None:
        super().__init__(_SENTENCES[standing.name].format(limit=standing.limit, left=standing.left))
        self.standing = standing
        self.reason = _CODES[standing.name]
        self.retry_after = SOON if standing.resets is None else standing.resets


class RequestRate:
    """Count every user's requests, minute by minute."""

    def __init__(self, database: Database, *, clock: Clock, limit: int | None) -> None:
        self._db, self._clock, self._limit = database, clock, limit
        self.limited = limit is not None

    async def take(self, user_id: UserId) -> Standing | None:
        """Count a request and say how the limit stands, None without one; `LimitReached`."""
        if self._limit is None:
            return None
        params = {**_params(self._clock, user_id), "most": self._limit}
        # A count that a power failure undoes is of no minute that matters.
        rows = await self._db.execute(_SQL["take"], params, durable=False)
        if not rows:
            raise LimitReached(self._standing(self._limit, self._limit))
        return self._standing(self._limit, int(rows[0]["taken"] or 0))

    async def standing(self, user_id: UserId) -> list[Standing]:
        """Say how the limit stands, without counting."""
        if self._limit is None:
            return []
        rows = await self._db.fetch(_SQL["taken"], _params(self._clock, user_id))
        return [self._standing(self._limit, int(rows[0]["taken"] or 0) if rows else 0)]

    def _standing(self, limit: int, taken: int) -> Standing:
        return Standing("requests", limit, limit - taken, MINUTE, _until_next(MINUTE, self._clock))


class Allowance:
    """Keep the books of every user's jobs; without a limit, nothing is written.

    `expect` says what a job will cost in US dollars, as far as anybody knows.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        *,
        clock: Clock,
        limits: Limits,
        expect: Callable[[NewJob], Awaitable[float]],
    ) -> None:
        self._db, self._queue, self._clock = database, queue, clock
        self._limits, self._expect = limits, expect
        self.limited = any(limit is not None for limit in (limits.jobs, limits.items, limits.spend))

    async def promise(self, new: NewJob) -> None:
        """Book what a job is expected to cost, before it is enqueued; `LimitReached`."""
        if not self.limited:
            return
        expense = Expense.expected(new, await self._expect(new) if self._limits.spend is not None else 0.0)
        if await self._book(new, expense):
            return
        if await self._mend(new.user_id) and await self._book(new, expense):
            return
        wanted = {"jobs": 1.0, "items": float(expense.items), "spend": expense.usd if expense.items else 0.0}
        standings = await self.standings(new.user_id)
        short = [each for each in standings if each.left <= 0 or each.left < wanted[each.name]]
        raise LimitReached((short or standings)[0])

    async def withdraw(self, job_id: JobId) -> None:
        """Strike a job out of the books: it was never enqueued."""
        if self.limited:
            await self._db.execute(_SQL["withdraw"], {"job_id": job_id})

    async def settle(self, job: Job) -> None:
        """Write down what an ended job made and cost; told again, it changes nothing."""
        if self.limited:
            expense = settled_expense(job)
            cost: Params = {"job_id": job.id, "items": expense.items, "micros": expense.micros}
            await self._db.execute(_SQL["settle"], cost)

    async def standings(self, user_id: UserId) -> list[Standing]:
        """Say how each limit stands."""
        if not self.limited:
            return []
        (used,) = await self._db.fetch(_SQL["used"], _params(self._clock, user_id))
        midnight = _until_next(DAY, self._clock)
        jobs, items, spend = (int(used[name] or 0) for name in ("jobs", "items", "micros"))
        found = (
            _standing("jobs", self._limits.jobs, jobs),
            _standing("items", self._limits.items, items, window=DAY, resets=midnight),
            _standing("spend", self._limits.spend, spend / 1e6, window=DAY, resets=midnight),
        )
        return [each for each in found if each is not None]

    async def forget_old(self) -> None:
        """Forget what ended before today."""
        await self._db.execute(_SQL["forget"], {"now": round(self._clock.now() * 1e6)})

    async def _book(self, new: NewJob, expense: Expense) -> bool:
        limits = self._limits
        promise: Params = {
            **_params(self._clock, new.user_id),
            "job_id": new.id,
            "items": expense.items,
            "micros": expense.micros,
            "max_jobs": _NO_LIMIT if limits.jobs is None else limits.jobs,
            "max_items": _NO_LIMIT if limits.items is None else limits.items,
            "max_micros": _NO_LIMIT if limits.spend is None else round(limits.spend * 1e6),
        }
        await self._db.apply([Effect(_SQL["hold_owner"], promise), Effect(_SQL["promise"], promise)])
        return bool(await self._db.fetch(_SQL["promised"], promise))

    async def _mend(self, user_id: UserId) -> bool:
        """Strike out jobs that a process which died in between never enqueued, or whose end nobody told."""
        mended = False
        for row in await self._db.fetch(_SQL["unfinished"], _params(self._clock, user_id)):
            job_id = JobId(str(row["job_id"]))
            try:
                job = await self._queue.get(job_id)
            except JobNotFound:
                await self.withdraw(job_id)
                mended = True
            else:
                if job.ended:
                    await self.settle(job)
                    mended = True
        return mended


def _standing(
    name: Name, limit: float | None, used: float, *, window: int | None = None, resets: float | None = None
) -> Standing | None:
    return None if limit is None else Standing(name, limit, max(0, limit - used), window, resets)


def _params(clock: Clock, user_id: UserId) -> Params:
    return {"user_id": user_id, "now": round(clock.now() * 1e6)}


def _until_next(window: int, clock: Clock) -> float:
    return window - clock.now() % window
