"""A doorbell that is heard in other processes too.

Guarantees that whoever listens in this process is woken at once, as without Redis, and that after a loss
of the link everybody here is woken once, for what rang meanwhile is unknown. A ring that is lost otherwise
only costs the listeners' own safety poll.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Generic, Protocol, TypeVar

from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.realtime.redis_link import Link

RingT = TypeVar("RingT", bound=str)
RingT_contra = TypeVar("RingT_contra", bound=str, contravariant=True)
EarT_co = TypeVar("EarT_co", covariant=True)


class Bell(Protocol[RingT_contra, EarT_co]):
    """A doorbell of one process, as the queue has it."""

    def ring(self, ring: RingT_contra) -> None:
        """Wake every listener of this process that listens for `ring`."""
        ...

    def listen(self, *rings: RingT_contra) -> EarT_co:
        """Begin to listen for these rings."""
        ...


class RedisDoorbell(Generic[RingT, EarT_co]):
    """Ring `local` here and everywhere on the line; `rings` are all there are."""

    def __init__(
        self,
        local: Bell[RingT, EarT_co],
        line: RedisLine,
        *,
        rings: Collection[RingT],
        prefix: str = "media-pipeline",
    ) -> None:
        self._local = local
        self._line = line
        self._rings = {ring.encode(): ring for ring in rings}
        self._channel = f"{prefix}:doorbell".encode()
        self._me = secrets.token_hex(8).encode()
        line.hear(self._channel, self._hear)
        line.catch_up(self._wake_all)

    def ring(self, ring: RingT) -> None:
        self._local.ring(ring)
        if (link := self._line.link) is not None:
            link.tell("PUBLISH", self._channel, b"%b %b" % (self._me, ring.encode()))

    def listen(self, *rings: RingT) -> EarT_co:
        return self._local.listen(*rings)

    def _hear(self, payload: bytes) -> None:
        sender, _, name = payload.partition(b" ")
        if sender != self._me and (ring := self._rings.get(name)) is not None:
            self._local.ring(ring)

    def _wake_all(self, _link: Link) -> None:
        for ring in self._rings.values():
            self._local.ring(ring)
