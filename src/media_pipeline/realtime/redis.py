"""The bus between processes, over Redis 7 or Valkey 8 and newer.

Guarantees what `Bus` does across processes and across losses of the link, which it heals: whoever
listens goes on where it was, or is told RESET. A change of state is kept, numbered and told in one step of
the server. A server that starts anew, empty or from an older copy, and a replica that takes over have
a new epoch. Histories end after `max_age` seconds without a change or a reader. Not guaranteed:
progress while the link is down; history beyond what the server itself keeps.
"""

from __future__ import annotations

import asyncio
from functools import partial

from media_pipeline.clock import Clock
from media_pipeline.ids import UserId
from media_pipeline.realtime import bus
from media_pipeline.realtime.bus import BusError, Message, Receiver
from media_pipeline.realtime.redis_channel import Channel, Subscription
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.realtime.redis_link import Link, LinkLost
from media_pipeline.realtime.redis_wire import Names, encode_header, roll_dice


class RedisBus:
    """Carry messages over a line, which it closes with itself.

    `history` state messages are kept for each user. Publishing and subscribing wait at most
    `patience` seconds for a server that is away. Programs with another `prefix` hear nothing of each other.
    """

    def __init__(
        self,
        line: RedisLine,
        *,
        clock: Clock,
        history: int = 1000,
        max_age: float = 3600.0,
        patience: float = 2.0,
        prefix: str = "media-pipeline",
    ) -> None:
        self._line = line
        self._clock = clock
        self._history = history
        self._max_age = max_age
        self._patience = patience
        self._prefix = prefix
        self._channels: dict[UserId, Channel] = {}
        self._touching: asyncio.Task[None] | None = None
        self._closed = False
        line.catch_up(self._begin_again)

    async def publish(self, message: Message) -> None:
        self._refuse_if_closed()
        if message.key is None:
            self._tell(message)
        else:
            await self._append(message, message.key)

    async def subscribe(
        self, user_id: UserId, receiver: Receiver, *, since: str | None = None
    ) -> bus.Subscription:
        self._refuse_if_closed()
        self._line.open()
        channel = self._channels.get(user_id) or self._open_channel(user_id)
        subscription = Subscription(receiver, since, partial(self._leave, channel))
        channel.subscriptions[subscription] = None
        if self._line.link is not None:
            channel.begin(self._line.link, subscription)
        try:
            async with asyncio.timeout(self._patience):
                await subscription.opened
        except BaseException as error:
            subscription.close()
            if isinstance(error, TimeoutError):
                raise BusError("Redis did not answer in time: come back in a moment.") from None
            raise
        return subscription

    async def forget(self, user_id: UserId) -> None:
        self._refuse_if_closed()
        link = await self._line.reach(self._patience)
        names = Names.of(self._prefix, user_id)
        await link.ask("DEL", names.history, names.keys)

    async def aclose(self) -> None:
        self._closed = True
        for channel in tuple(self._channels.values()):
            for subscription in tuple(channel.subscriptions):
                subscription.fail(_closed())
                subscription.close()
        if self._touching is not None:
            self._touching.cancel()
        await self._line.aclose()

    def _tell(self, message: Message) -> None:
        link = self._line.link
        if link is None or link.congested:
            self._line.open()
            raise BusError("Redis cannot be reached: progress is not told.")
        names = Names.of(self._prefix, message.user_id)
        link.tell("PUBLISH", names.channel, encode_header(message) + b"\n" + message.frame)

    async def _append(self, message: Message, key: str) -> None:
        try:
            async with asyncio.timeout(self._patience):
                while not await self._try_append(message, key):
                    pass
        except TimeoutError:
            raise BusError("Redis did not take the event in time.") from None

    async def _try_append(self, message: Message, key: str) -> bool:
        """Append over the present link; False when that was lost meanwhile, and it has to be tried again.

        It may have run all the same: the key keeps it from being told twice.
        """
        link = await self._line.reach(self._patience)
        names = Names.of(self._prefix, message.user_id)
        try:
            await link.ask(
                *("EVALSHA", link.scripts["publish"], 2, names.history, names.keys, names.channel),
                *(link.life, roll_dice(), self._history, int(self._max_age * 1000)),
                *(key, encode_header(message), message.frame),
            )
        except LinkLost:
            # The line learns of it in this turn of the loop or the next.
            await asyncio.sleep(0)
            return False
        return True

    def _open_channel(self, user_id: UserId) -> Channel:
        names = Names.of(self._prefix, user_id)
        channel = Channel(user_id, names, self._line, max_age=self._max_age)
        self._channels[user_id] = channel
        self._line.hear(names.channel, channel.hear)
        if self._touching is None:
            self._touching = asyncio.get_running_loop().create_task(self._touch())
        return channel

    def _leave(self, channel: Channel, subscription: Subscription) -> None:
        if channel.subscriptions.pop(subscription, subscription) is None and not channel.subscriptions:
            del self._channels[channel.user_id]
            self._line.unhear(channel.names.channel)

    def _begin_again(self, link: Link) -> None:
        for channel in self._channels.values():
            channel.begin_again(link)

    async def _touch(self) -> None:
        while True:
            await self._clock.sleep(self._max_age / 4)
            if (link := self._line.link) is not None:
                for channel in tuple(self._channels.values()):
                    channel.touch(link)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise _closed()


def _closed() -> BusError:
    return BusError("The bus is closed: the service is stopping.")
