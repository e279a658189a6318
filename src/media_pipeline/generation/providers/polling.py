"""Asking a provider how a submitted job stands, again and again, without crowding it.

Guarantees: at most `rate` questions a second over all jobs of one provider in this process; a question that
fails in passing is asked again, so that a long job outlives short troubles. Not guaranteed: an end; the
job's deadline is its worker's.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, TypeVar

from media_pipeline.clock import Clock
from media_pipeline.generation.knocks import Knocks
from media_pipeline.generation.provider import ErrorCode, ProviderError

T = TypeVar("T")
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 5.0
GROWTH: Final = 1.3
RATE: Final = 20.0
"""Questions a second; the providers' documented limits for reads are several times higher."""
FAULTS: Final = 6
"""How many questions in a row may fail before the job counts as out of sight."""

_PASSING: Final = frozenset(
    {
        ErrorCode.NETWORK,
        ErrorCode.TIMEOUT,
        ErrorCode.OVERLOADED,
        ErrorCode.RATE_LIMITED,
        ErrorCode.PROVIDER,
    }
)


class Polling:
    """The questions of one provider in this process."""

    def __init__(
        self,
        clock: Clock,
        *,
        provider: str = "",
        knocks: Knocks | None = None,
        rate: float = RATE,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock, self._chance = clock, chance
        self._provider, self._knocks = provider, knocks
        self._gap = 1.0 / rate
        self._next = 0.0

    async def watch(
        self, ask: Callable[[], Awaitable[T]], *, job: str | None = None
    ) -> AsyncGenerator[T, None]:
        """Yield what `ask` returns, each time a little later, until the reader has seen enough.

        A knock for `job`, the provider's own id, asks at once.
        A job that the provider does not know any more is `ProviderError(EXPIRED)`.
        """
        wait, faults = FIRST_WAIT, 0
        while True:
            await self._turn()
            pause = wait
            try:
                answer = await ask()
            except ProviderError as error:
                faults += 1
                if error.reason not in _PASSING or faults >= FAULTS:
                    raise _explained(error) from error
                pause = max(wait, error.retry_after or 0.0)
            else:
                faults = 0
                yield answer
            await self._sleep(pause * (0.8 + 0.4 * self._chance()), job)
            wait = min(LONGEST_WAIT, wait * GROWTH)

    async def _sleep(self, seconds: float, job: str | None) -> None:
        if self._knocks is None or job is None:
            await self._clock.sleep(seconds)
        else:
            await self._knocks.wait(self._provider, job, seconds=seconds, clock=self._clock)

    async def _turn(self) -> None:
        """Wait for a place in the line of questions."""
        now = self._clock.monotonic()
        mine = max(now, self._next)
        self._next = mine + self._gap
        if mine > now:
            await self._clock.sleep(mine - now)


def _explained(error: ProviderError) -> ProviderError:
    """Say what a failed question means for a job that was taken."""
    reasons = {ErrorCode.GONE: ErrorCode.EXPIRED, ErrorCode.PROVIDER: ErrorCode.NETWORK}
    reason = reasons.get(error.reason, error.reason)
    return ProviderError(reason, str(error), provider=error.provider, retry_after=error.retry_after)
