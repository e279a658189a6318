"""Seats of several processes, counted together in Redis.

A process says how many streams of a user it has, never one more or one less: what was lost on the way is
mended by saying it again. Each gives a sign of life that lasts `lease` seconds, so what a killed one
had is free after that, and nothing is asked of Redis but when a stream opens or closes. Without
Redis each process goes by its own count: a stream brings nothing then, and must not be refused for that. So
once Redis is back there may be more than the limit; none of them is closed, and no other is let in before.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from typing import Final

from media_pipeline.clock import Clock
from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import BusError
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.realtime.redis_link import Link, Reply

PATIENCE: Final = 2.0
"""Seconds that a stream waits for its seat; a server that takes longer is as good as away."""
AGE: Final = 3600.0
"""Seconds after which what nobody says again is forgotten."""
_NO_LIMIT: Final = 1 << 53


class RedisSeats:
    """Count over `line`, `limit` for each user; programs with another `prefix` count apart."""

    def __init__(
        self,
        line: RedisLine,
        *,
        limit: int,
        clock: Clock,
        lease: float = 30.0,
        prefix: str = "media-pipeline",
    ) -> None:
        self._line = line
        self._limit = limit
        self._clock = clock
        self._lease = lease
        self._prefix = prefix
        self._lives = f"{prefix}:process:".encode()
        self._me = secrets.token_hex(8).encode()
        self._taken: Counter[UserId] = Counter()
        self._living: asyncio.Task[None] | None = None
        self._said_all = 0.0
        line.catch_up(self._say_again)

    async def take(self, user_id: UserId) -> bool:
        if self._taken[user_id] >= self._limit:
            return False
        self._taken[user_id] += 1
        self._live()
        try:
            fits = await self._ask(user_id)
        except BaseException:
            self.leave(user_id)
            raise
        if not fits:
            self.leave(user_id)
        return fits

    def leave(self, user_id: UserId) -> None:
        self._taken[user_id] -= 1
        if (link := self._line.link) is not None:
            self._say(link, user_id)
        if not self._taken[user_id]:
            del self._taken[user_id]

    async def aclose(self) -> None:
        living, self._living = self._living, None
        if living is None:
            return
        living.cancel()
        if (link := self._line.link) is not None:
            with contextlib.suppress(BusError, TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await link.ask("DEL", self._lives + self._me)

    async def _ask(self, user_id: UserId) -> bool:
        link = self._line.link
        if link is None:
            return True
        try:
            async with asyncio.timeout(PATIENCE):
                return bool(await link.ask(*self._count(link, user_id, self._limit)))
        except (BusError, TimeoutError):
            return True

    def _live(self) -> None:
        if self._living is None:
            self._living = asyncio.get_running_loop().create_task(self._keep_living())
            if self._line.link is not None:
                self._breathe(self._line.link)

    async def _keep_living(self) -> None:
        while True:
            await self._clock.sleep(self._lease / 3)
            if (link := self._line.link) is not None:
                self._breathe(link)
                if self._clock.monotonic() - self._said_all > AGE / 4:
                    self._say_all(link)

    def _breathe(self, link: Link) -> None:
        """Give a sign of life; if the last one was over, others may have struck out what was said."""

        def take(before: Reply) -> None:
            if before is None:
                self._say_all(link)

        milliseconds = int(self._lease * 1000)
        link.call(take, "SET", self._lives + self._me, 1, "PX", milliseconds, "GET")

    def _say_again(self, link: Link) -> None:
        if self._living is not None:
            self._breathe(link)
            self._say_all(link)

    def _say_all(self, link: Link) -> None:
        self._said_all = self._clock.monotonic()
        for user_id in self._taken:
            self._say(link, user_id)

    def _say(self, link: Link, user_id: UserId) -> None:
        link.tell(*self._count(link, user_id, _NO_LIMIT))

    def _count(self, link: Link, user_id: UserId, limit: int) -> tuple[str | bytes | int, ...]:
        seats = f"{self._prefix}:{{{user_id}}}:seats".encode("utf-8", "surrogatepass")
        place = ("EVALSHA", link.scripts["seat"], 1, seats)
        return (*place, self._me, self._taken[user_id], limit, self._lives, int(AGE * 1000))
