"""One user's channel: who listens to it here, and from where on.

A listener hears nothing until the reply to its question, what followed its position, has come over the
same link as the messages. So Redis itself puts history and live messages in order, and no message
is held back or compared. Numbers without a hole prove that none was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import hiredis
import structlog

from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import BusError, Message, Opening, Position, Receiver
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.realtime.redis_link import Link, LinkLost, Reply
from media_pipeline.realtime.redis_wire import Names, decode_entry, decode_payload, roll_dice, split_position

_RESUMED: Final = 3
"""How many parts the reply has where the position is kept."""

_log = structlog.get_logger(__name__)


class Subscription:
    """One listener; `live` from the reply on, `opened` at the first one."""

    __slots__ = ("_leave", "live", "opened", "receiver", "since")

    def __init__(self, receiver: Receiver, since: str | None, leave: Callable[[Subscription], None]) -> None:
        self.receiver = receiver
        self.since = since
        self.live = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leave = leave

    def open(self, opening: Opening, position: Position, missed: Sequence[Message]) -> None:
        """Begin, or go on after a loss."""
        self.live = True
        self.receiver.open(opening, position, missed)
        if not self.opened.done():
            self.opened.set_result(None)

    def fail(self, error: BusError) -> None:
        """Tell whoever waits for the beginning that it does not come."""
        if not self.opened.done():
            self.opened.set_exception(error)

    def close(self) -> None:
        self.live = False
        self._leave(self)


class Channel:
    """A user's listeners in this process; histories unread for `max_age` seconds are forgotten."""

    __slots__ = ("_age", "_line", "_newest", "names", "subscriptions", "user_id")

    def __init__(self, user_id: UserId, names: Names, line: RedisLine, *, max_age: float) -> None:
        self.user_id = user_id
        self.names = names
        self.subscriptions: dict[Subscription, None] = {}
        self._line = line
        self._age = int(max_age * 1000)
        self._newest: Position | None = None

    def begin(self, link: Link, subscription: Subscription) -> None:
        """Ask for a listener's beginning; the channel is subscribed on this link already."""
        self._resume(link, subscription.since, [subscription])

    def begin_again(self, link: Link) -> None:
        """Ask for everybody's, on a new link."""
        self._interrupt()
        waiting: dict[str | None, list[Subscription]] = {}
        for subscription in self.subscriptions:
            waiting.setdefault(subscription.since, []).append(subscription)
        for since, subscriptions in waiting.items():
            self._resume(link, since, subscriptions)

    def hear(self, payload: bytes) -> None:
        """Take what the channel carried."""
        live = [subscription for subscription in self.subscriptions if subscription.live]
        if not live:
            return
        try:
            message = decode_payload(self.user_id, payload)
        except ValueError:
            _log.warning("redis.foreign_message", channel=self.names.channel)
            return
        if message.position is not None:
            if not self._follows(message.position) and self._line.link is not None:
                self._resume(self._line.link, str(self._newest), self._interrupt())
                return
            self._newest = message.position
        for subscription in live:
            # Asked again: one receiver's turn may have closed another.
            if subscription.live:
                subscription.receiver.receive(message)

    def touch(self, link: Link) -> None:
        """Keep the history of somebody who listens from expiring."""
        for key in (self.names.history, self.names.keys):
            link.tell("PEXPIRE", key, self._age)

    def _interrupt(self) -> list[Subscription]:
        """Let nobody hear more; return whose stream has to go on after the newest that it heard."""
        live = [subscription for subscription in self.subscriptions if subscription.live]
        for subscription in live:
            subscription.live = False
            subscription.since = str(self._newest)
        return live

    def _follows(self, position: Position) -> bool:
        newest = self._newest
        if newest is None or position.epoch != newest.epoch:
            # An expired history begins anew, at one.
            return int(position.offset) == 1
        return int(position.offset) == int(newest.offset) + 1

    def _resume(self, link: Link, since: str | None, waiting: Sequence[Subscription]) -> None:
        epoch, number = ("", "") if since is None else split_position(since) or ("", "")
        names, script = self.names, link.scripts["resume"]
        link.call(
            lambda reply: self._open(link, since, waiting, reply),
            *("EVALSHA", script, 2, names.history, names.keys),
            *(link.life, roll_dice(), self._age, epoch, number),
        )

    def _open(self, link: Link, since: str | None, waiting: Sequence[Subscription], reply: Reply) -> None:
        if isinstance(reply, LinkLost):
            return  # asked again over the next link
        if isinstance(reply, hiredis.ReplyError):
            self._fail(link, link.refuse(reply), waiting)
            return
        opening, self._newest, missed = self._read(since, reply)
        for subscription in waiting:
            if subscription in self.subscriptions:
                subscription.open(opening, self._newest, missed)

    def _read(self, since: str | None, reply: Reply) -> tuple[Opening, Position, list[Message]]:
        assert isinstance(reply, list)  # noqa: S101 - our own script's
        epoch = reply[0].decode()
        newest = Position(epoch, reply[1].decode())
        if since is None:
            return Opening.READY, newest, []
        if len(reply) < _RESUMED:
            return Opening.RESET, newest, []
        places = ((Position(epoch, place.decode().partition("-")[2]), fields) for place, fields in reply[2])
        missed = [decode_entry(self.user_id, position, fields) for position, fields in places]
        return Opening.RESUMED, newest, missed

    def _fail(self, link: Link, error: BusError, waiting: Sequence[Subscription]) -> None:
        for subscription in waiting:
            if subscription.opened.done():
                # It was live before and would be deaf now: the next link asks for it again.
                link.drop(str(error))
            elif not isinstance(error, LinkLost):
                subscription.fail(error)
