"""How long a store tries again: for what passes by itself, with growing pauses, up to tries and time.

Guarantee: nothing is tried again but what its caller calls `Passing`. Whether it is safe to is the
caller's to know: a read is, a write is where it carries a precondition.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

import structlog

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.storage.store import StoreError

_log = structlog.get_logger(__name__)
T = TypeVar("T")


class Logger(Protocol):
    """What a store writes its log with: structlog's, or the standard library's."""

    def info(self, event: str, /, *args: object) -> object: ...


PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""The statuses of answers that may be others in a moment."""


class Passing(Exception):
    """It may work in a moment: a status of `PASSING`, a reset, a stall, bytes unlike their checksum."""


@dataclass(frozen=True, slots=True)
class Patience:
    """`tries` in all within about `seconds`; pauses begin at `pause` and double, jittered, to `longest`."""

    tries: int = 8
    seconds: float = 60.0
    pause: float = 0.1
    longest: float = 8.0
    log: Logger | None = None
    clock: Clock = field(default_factory=SystemClock)

    def begin(self) -> Attempts:
        """Begin to count the tries of one operation."""
        return Attempts(self)

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` returns, trying again as long as it raises `Passing`; at last `StoreError`."""
        attempts = self.begin()
        while True:
            try:
                return await call()
            except Passing as error:
                await attempts.again(error)


class Attempts:
    """The tries of one operation so far."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._began = patience.clock.monotonic()
        self.failed = 0

    def progress(self) -> None:
        """Forget earlier failures: the operation got further."""
        self.failed = 0
        self._began = self._patience.clock.monotonic()

    async def again(self, error: Passing) -> None:
        """Wait for the next try, or raise `StoreError` when there shall be none."""
        self.failed += 1
        patience = self._patience
        spent = patience.clock.monotonic() - self._began
        if self.failed >= patience.tries or spent >= patience.seconds:
            raise StoreError(f"The store failed {self.failed} times: {error}.") from error
        _log.debug("store.tries_again", failed=self.failed)
        if patience.log is not None:
            patience.log.info("The store is tried again after failure %d: %s", self.failed, error)
        pause = min(patience.longest, patience.pause * 2 ** (self.failed - 1))
        await patience.clock.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads load
