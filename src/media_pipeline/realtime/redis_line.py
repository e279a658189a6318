"""The one link of a process, kept up, with everything that is heard over it.

Guarantees that while the link is up every ear's channel is subscribed, before anything else is asked
over it, and that those who want to catch up are told after each loss. A silent server counts as lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from itertools import islice
from typing import Final

import structlog

from media_pipeline.clock import Clock
from media_pipeline.realtime.bus import BusError
from media_pipeline.realtime.redis_connect import open_link
from media_pipeline.realtime.redis_link import Ear, Link, LinkRefused
from media_pipeline.redis_url import RedisUrl

FIRST_WAIT: Final = 0.05
LONGEST_WAIT: Final = 0.25
"""Short, for each reset after an outage waits for it; a try costs the server nothing."""
BATCH: Final = 500
_log = structlog.get_logger(__name__)


class RedisLine:
    """Keep a link to `url` up; a server that is silent for `ping_seconds` twice is given up."""

    def __init__(self, url: RedisUrl, *, clock: Clock, ping_seconds: float = 2.0) -> None:
        self.link: Link | None = None
        self._url = url
        self._clock = clock
        self._ping_seconds = ping_seconds
        self._ears: dict[bytes, Ear] = {}
        self._catch_ups: list[Callable[[Link], None]] = []
        self._up = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._closed = False
        self._tried = asyncio.Event()
        self._refusal: LinkRefused | None = None
        self._trouble = "not connected yet"
        self._down_since = clock.monotonic()

    def open(self) -> None:
        """Begin to connect, and do not wait for it."""
        if self._keeping is None and not self._closed:
            self._down_since = self._clock.monotonic()
            self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def try_once(self) -> None:
        """Begin to connect and return when the first try is over; `LinkRefused` if we were not let in."""
        self.open()
        await self._tried.wait()
        if self._refusal is not None:
            raise self._refusal

    async def reach(self, seconds: float) -> Link:
        """Return the link; `BusError` if it is down for `seconds`, or is so already."""
        if self.link is not None and not self._closed:
            return self.link  # most calls, and a timer costs more than the rest of a publish
        self.open()
        with contextlib.suppress(TimeoutError):
            # Counted from the loss: an outage that lasts holds up nobody again.
            async with asyncio.timeout(self._down_since + seconds - self._clock.monotonic()):
                await self._up.wait()
        if self._closed:
            raise BusError("The bus is closed: the service is stopping.")
        if self.link is None:
            raise BusError(f"Redis cannot be reached: {self._trouble}.")
        return self.link

    async def probe(self, seconds: float = 1.0) -> None:
        """Return if Redis answers; else `BusError`."""
        link = await self.reach(seconds)
        try:
            async with asyncio.timeout(seconds):
                await link.ask("PING")
        except TimeoutError:
            raise BusError("Redis does not answer.") from None

    def hear(self, channel: bytes, ear: Ear) -> None:
        """Hand the messages of a channel to `ear`, from now on and after each loss again."""
        self._ears[channel] = ear
        if self.link is not None:
            self.link.subscribe(channel)

    def unhear(self, channel: bytes) -> None:
        """Stop hearing a channel."""
        if self._ears.pop(channel, None) and self.link is not None:
            self.link.unsubscribe(channel)

    def catch_up(self, with_link: Callable[[Link], None]) -> None:
        """Call `with_link` for every new link, once its channels are subscribed."""
        self._catch_ups.append(with_link)

    async def aclose(self) -> None:
        """Close the link and open no other."""
        self._closed = True
        self._up.set()
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping

    async def _keep(self) -> None:
        wait = FIRST_WAIT
        while True:
            try:
                link = await open_link(self._url, self._ears)
            except (BusError, OSError, ValueError) as error:
                self._note(str(error) or type(error).__name__)
                self._refusal = error if isinstance(error, LinkRefused) else None
                self._tried.set()
                await self._clock.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - spreads, hides nothing
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                wait = FIRST_WAIT
                await self._use(link)

    async def _use(self, link: Link) -> None:
        try:
            self._plug(link)
            while not link.lost.done():
                await asyncio.wait([link.lost], timeout=self._ping_seconds)
                link.check()
            self._note(link.lost.result())
        finally:
            self.link = None
            self._down_since = self._clock.monotonic()
            if not self._closed:
                self._up.clear()
            link.drop("closed")

    def _plug(self, link: Link) -> None:
        channels = iter(self._ears)
        while batch := tuple(islice(channels, BATCH)):
            link.subscribe(*batch)
        self.link = link
        self._tried.set()
        for with_link in self._catch_ups:
            with_link(link)
        self._trouble = ""
        self._up.set()
        _log.info("redis.linked")

    def _note(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            _log.warning("redis.lost", error=trouble)
