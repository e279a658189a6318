"""What all workers together may ask of a provider: how much at once, not before, and not while it fails.

Guarantees, over every process on one database: no more attempts run on a provider than its limit; when one
worker is told to wait, all do; a provider that failed so often in a row rests, then one worker tries it.
Not guaranteed: the limit while a process cannot renew its slots for a lease, or for jobs that a dead worker
left there.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol, Self

import structlog

from media_pipeline.clock import Clock
from media_pipeline.db.database import Database, DatabaseUnavailable, Params, Row
from media_pipeline.db.statements import load_statements
from media_pipeline.generation.provider import ErrorCode, ProviderError

FAILURES: Final = 5
"""So many failures in a row make a provider rest."""
REST: Final = 30.0
LEASE: Final = 30.0
LOOK: Final = 0.25
"""Seconds between looks for a free slot."""
UNSAID: Final = 1.0
"""Seconds that a provider is left alone which says too often but not how long."""

TROUBLE: Final = frozenset(
    {ErrorCode.OVERLOADED, ErrorCode.NETWORK, ErrorCode.TIMEOUT, ErrorCode.AUTH, ErrorCode.QUOTA}
)
"""Failures that the next job would meet as well; those of one model or one request are not counted."""

_log = structlog.get_logger(__name__)
_SQL: Final = load_statements("media_pipeline.generation", "sql/fleet.sql")


class Fleet(Protocol):
    """Who lets attempts at a provider in, and hears how they went."""

    def slot(self, provider: str, *, patience: float | None) -> AbstractAsyncContextManager[None]:
        """Hold one of the provider's slots, waiting for it.

        Inside, a new job may be given to the provider, which may take `patience` seconds more or raise; None
        is for a job that it has.
        """
        ...

    async def learn(self, provider: str, error: ProviderError | None) -> None:
        """Take in how a call on `provider` went."""
        ...


class NoFleet:
    """A manager by itself: everything may be asked at any time."""

    @asynccontextmanager
    async def slot(
        self,
        provider: str,  # noqa: ARG002 - the protocol's
        *,
        patience: float | None,  # noqa: ARG002 - the protocol's
    ) -> AsyncGenerator[None, None]:
        yield

    async def learn(self, provider: str, error: ProviderError | None) -> None: ...


@dataclass(frozen=True, slots=True)
class _Health:
    """How a provider stands: for how many seconds it wants to be left alone, and rests after `failures`."""

    paused: float = 0.0
    resting: float = 0.0
    failures: int = 0

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(_seconds(row, "paused"), _seconds(row, "resting"), int(row["failures"] or 0))

    @property
    def rests(self) -> bool:
        return self.failures >= FAILURES


class DatabaseFleet:
    """The fleet on one database; `limits` are attempts at once by provider, none where it has none."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        limits: Mapping[str, int],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._db, self._clock, self._limits, self._chance = database, clock, limits, chance
        self._me = uuid.uuid4().hex
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._freed: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._held = 0
        self._failing: set[str] = set()

    @asynccontextmanager
    async def slot(self, provider: str, *, patience: float | None) -> AsyncGenerator[None, None]:
        """Hold one of the provider's slots, waiting for it; those of this process wait in line.

        Where a new job may not be given to it within `patience` seconds this raises `ProviderError`:
        RATE_LIMITED while it wants to be left alone, OVERLOADED while it rests. That is looked at with the
        slot in hand, for much is learnt while one waits; and before, for nobody waits at a closed door.
        """
        if patience is not None:
            await self._look(provider, patience)
        async with self._held_slot(provider):
            if patience is not None:
                await self._admit(provider, patience)
            yield

    async def learn(self, provider: str, error: ProviderError | None) -> None:
        """Take in how a call on `provider` went, for every worker's sake; worth no result that it brought."""
        try:
            await self._note(provider, error)
        except DatabaseUnavailable as fault:
            _log.warning("fleet.not_noted", provider=provider, error=str(fault))

    async def keep(self) -> None:
        """Renew what this process holds, for as long as it runs."""
        while True:
            await self._clock.sleep(LEASE / 3)
            if self._held:
                try:
                    await self._db.execute(_SQL["renew"], self._params(""))
                except DatabaseUnavailable:
                    continue

    async def _note(self, provider: str, error: ProviderError | None) -> None:
        if error is None:
            if provider in self._failing:
                self._failing.discard(provider)
                await self._db.execute(_SQL["recover"], self._params(provider))
        elif error.reason is ErrorCode.RATE_LIMITED:
            pause = _us(error.retry_after or UNSAID)
            await self._db.execute(_SQL["pause"], {**self._params(provider), "pause": pause})
        elif error.reason in TROUBLE:
            self._failing.add(provider)
            await self._db.execute(_SQL["fail"], self._params(provider))

    @asynccontextmanager
    async def _held_slot(self, provider: str) -> AsyncGenerator[None, None]:
        if provider not in self._limits:
            yield
            return
        async with self._turns[provider]:
            slot = await self._take(provider)
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            await asyncio.shield(self._leave(provider, slot))

    async def _look(self, provider: str, patience: float) -> _Health:
        """Return how the provider stands, or raise where it is closed for longer than `patience`."""
        rows = await self._db.fetch(_SQL["health"], self._params(provider))
        health = _Health.read(rows[0]) if rows else _Health()
        if health.failures:
            self._failing.add(provider)
        if health.rests and health.resting > 0:
            raise _closed(ErrorCode.OVERLOADED, provider, "rests after failures in a row", health.resting)
        if health.paused > patience:
            raise _closed(ErrorCode.RATE_LIMITED, provider, "asked to be left alone", health.paused)
        return health

    async def _admit(self, provider: str, patience: float) -> None:
        """Return when a new job may be given to `provider`, or raise."""
        while (health := await self._look(provider, patience)).paused > 0:
            await self._clock.sleep(health.paused)
            patience -= health.paused
        if health.rests:
            await self._probe(provider)

    async def _probe(self, provider: str) -> None:
        """Be the one who tries a provider after its rest, or raise."""
        if not await self._db.execute(_SQL["probe"], self._params(provider)):
            raise _closed(ErrorCode.OVERLOADED, provider, "is being tried after its rest", LOOK)

    async def _take(self, provider: str) -> int:
        while True:
            rows = await self._db.fetch(_SQL["held"], self._params(provider))
            held = {row["slot"] for row in rows}
            free = [slot for slot in range(self._limits[provider]) if slot not in held]
            if free:
                slot = free[int(self._chance() * len(free)) % len(free)]
                if await self._took(provider, slot):
                    return slot
            else:
                await self._until_freed(provider)

    async def _took(self, provider: str, slot: int) -> bool:
        """Try to take a slot; whoever is stopped meanwhile holds none, for it would be renewed for ever."""
        try:
            return bool(await self._db.execute(_SQL["take"], {**self._params(provider), "slot": slot}))
        except BaseException:
            await asyncio.shield(self._leave(provider, slot))
            raise

    async def _until_freed(self, provider: str) -> None:
        """Return when this process gave a slot back, or when it is time to look at the others'."""
        freed = self._freed[provider]
        freed.clear()
        looking = asyncio.ensure_future(self._clock.sleep(LOOK))
        waiting = asyncio.ensure_future(freed.wait())
        try:
            await asyncio.wait({looking, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            looking.cancel()
            waiting.cancel()

    async def _leave(self, provider: str, slot: int) -> None:
        try:
            await self._db.execute(_SQL["leave"], {**self._params(provider), "slot": slot})
        except DatabaseUnavailable:
            return  # the slot is free when its lease is over
        finally:
            self._freed[provider].set()

    def _params(self, provider: str) -> Params:
        return {
            "provider": provider,
            "holder": self._me,
            "now": _us(self._clock.now()),
            "lease": _us(LEASE),
            "rest": _us(REST),
            "most": FAILURES,
        }


def _closed(reason: ErrorCode, provider: str, why: str, seconds: float) -> ProviderError:
    sentence = f"{provider} {why}; {seconds:.0f} s more."
    return ProviderError(reason, sentence, provider=provider, retry_after=seconds, sent=False)


def _seconds(row: Row, name: str) -> float:
    return int(row[name] or 0) / 1e6


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
