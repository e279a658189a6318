"""Being told that a job at a provider has news, so that it is asked about now instead of a little later.

A knock carries no news itself: whoever follows the job asks the provider. So a knock that is repeated, lost
or forged changes nothing but the time of a question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from media_pipeline.clock import Clock

_SEPARATOR: Final = "\n"


class Knocks:
    """The doors of this process; `tell` takes a knock to the other ones, and `hear` takes theirs."""

    def __init__(self, tell: Callable[[bytes], None] | None = None) -> None:
        self._tell = tell
        self._doors: dict[str, asyncio.Event] = {}

    def knock(self, provider: str, job: str) -> None:
        """Wake whoever waits for news of `job`, in any process."""
        door = f"{provider}{_SEPARATOR}{job}"
        self._open(door)
        if self._tell is not None:
            self._tell(door.encode())

    def hear(self, payload: bytes) -> None:
        """Take a knock from another process."""
        self._open(payload.decode(errors="replace"))

    async def wait(self, provider: str, job: str, *, seconds: float, clock: Clock) -> None:
        """Return after `seconds` of `clock`, or at the first knock for `job`."""
        name = f"{provider}{_SEPARATOR}{job}"
        door = self._doors[name] = asyncio.Event()
        sleeping = asyncio.ensure_future(clock.sleep(seconds))
        knocking = asyncio.ensure_future(door.wait())
        try:
            await asyncio.wait({sleeping, knocking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            knocking.cancel()
            if self._doors.get(name) is door:
                del self._doors[name]

    def _open(self, name: str) -> None:
        if (door := self._doors.get(name)) is not None:
            door.set()
