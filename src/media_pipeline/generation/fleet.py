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
from typing import Final, Protocol

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

_SQL: Final = load_statements("media_pipeline.generation", "sql/fleet.sql")


class Fleet(Protocol):
    """Who lets attempts at a provider in, and hears how they went."""

    def slot(self, provider: str) -> AbstractAsyncContextManager[None]:
        """Hold one of the provider's slots, waiting for it."""
        ...

    async def admit(self, provider: str, *, patience: float) -> None:
        """Return when a new job may be given to `provider`, after at most `patience` seconds, or raise."""
        ...

    async def learn(self, provider: str, error: ProviderError | None) -> None:
        """Take in how a call on `provider` went."""
        ...


class NoFleet:
    """A manager by itself: everything may be asked at any time."""

    @asynccontextmanager
    async def slot(self, provider: str) -> AsyncGenerator[None, None]:  # noqa: ARG002 - the protocol's
        yield

    async def admit(self, provider: str, *, patience: float) -> None: ...

    async def learn(self, provider: str, error: ProviderError | None) -> None: ...


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
    async def slot(self, provider: str) -> AsyncGenerator[None, None]:
        """Hold one of the provider's slots, waiting for it; those of this process wait in line."""
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

    async def admit(self, provider: str, *, patience: float) -> None:
        """Return when a new job may be given to `provider`, after at most `patience` seconds.

        Raises `ProviderError`: RATE_LIMITED while it wants to be left alone, OVERLOADED while it rests.
        """
        while rows := await self._db.fetch(_SQL["health"], self._params(provider)):
            paused, resting = _seconds(rows[0], "paused"), _seconds(rows[0], "resting")
            if int(rows[0]["failures"] or 0) > 0:
                self._failing.add(provider)
            if int(rows[0]["failures"] or 0) >= FAILURES:
                await self._probe(provider, resting)
                return
            if paused <= 0:
                return
            if paused > patience:
                raise _closed(ErrorCode.RATE_LIMITED, provider, "asked to be left alone", paused)
            await self._clock.sleep(paused)
            patience -= paused

    async def learn(self, provider: str, error: ProviderError | None) -> None:
        """Take in how a call on `provider` went, for every worker's sake."""
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

    async def keep(self) -> None:
        """Renew what this process holds, for as long as it runs."""
        while True:
            await self._clock.sleep(LEASE / 3)
            if self._held:
                try:
                    await self._db.execute(_SQL["renew"], self._params(""))
                except DatabaseUnavailable:
                    continue

    async def _probe(self, provider: str, resting: float) -> None:
        """Be the one who tries a provider after its rest, or raise."""
        if resting <= 0 and await self._db.execute(_SQL["probe"], self._params(provider)):
            return
        raise _closed(ErrorCode.OVERLOADED, provider, "rests after failures in a row", max(resting, LOOK))

    async def _take(self, provider: str) -> int:
        while True:
            rows = await self._db.fetch(_SQL["held"], self._params(provider))
            held = {row["slot"] for row in rows}
            free = [slot for slot in range(self._limits[provider]) if slot not in held]
            if free:
                slot = free[int(self._chance() * len(free)) % len(free)]
                if await self._db.execute(_SQL["take"], {**self._params(provider), "slot": slot}):
                    return slot
            else:
                await self._until_freed(provider)

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
