"""The bus of one process: histories in memory.

Guarantees what `Bus` does, for as long as the process lives: its epoch is made at the start, so a
position of an earlier life is a RESET. Memory is bounded by messages a user, by messages in all and
by age; a user who is gone leaves nothing. Not guaranteed: anything across processes.
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import count, islice
from typing import Final

from media_pipeline.clock import Clock
from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import BusError, Message, Opening, Position, Receiver, Subscription

_NUMBER: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


class MemoryBus:
    """Carry messages inside one process.

    `history` state messages are kept for each user, `max_messages` in all (the longest untouched
    users give way first), none longer than `max_age` seconds.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        history: int = 1000,
        max_age: float = 3600.0,
        max_messages: int = 200_000,
        epoch: str | None = None,
    ) -> None:
        self._clock = clock
        self._history = history
        self._max_age = max_age
        self._max_messages = max_messages
        self._epoch: Final = epoch or secrets.token_hex(4)
        self._users: OrderedDict[UserId, _History] = OrderedDict()
        self._incarnations: Iterator[int] = count(1)
        self._kept = 0
        self._closed = False

    async def publish(self, message: Message) -> None:
        self._refuse_if_closed()
        if message.key is not None:
            self._publish_state(message, message.key)
        elif (history := self._users.get(message.user_id)) is not None:
            history.deliver(message)

    async def subscribe(
        self, user_id: UserId, receiver: Receiver, *, since: str | None = None
    ) -> Subscription:
        self._refuse_if_closed()
        history = self._touch(user_id)
        opening, missed = history.after(since)
        receiver.open(opening, history.newest, missed)
        subscription = _Subscription(history, receiver)
        history.subscriptions[subscription] = None
        self._release()
        return subscription

    async def forget(self, user_id: UserId) -> None:
        history = self._users.get(user_id)
        if history is not None:
            self._kept -= history.trim(0)
            if not history.subscriptions:
                del self._users[user_id]

    async def aclose(self) -> None:
        self._closed = True
        for history in self._users.values():
            history.subscriptions.clear()
        self._users.clear()
        self._kept = 0

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise BusError("The bus is closed: the service is stopping.")

    def _publish_state(self, message: Message, key: str) -> None:
        history = self._touch(message.user_id)
        if key in history.keys:
            return
        placed = history.append(message, key, now=self._clock.monotonic())
        self._kept += 1 - history.trim(self._history)
        history.deliver(placed)
        self._release()

    def _touch(self, user_id: UserId) -> _History:
        now = self._clock.monotonic()
        history = self._users.get(user_id)
        if history is None:
            # A number of its own, so that no position of another user or of a forgotten history fits.
            history = self._users[user_id] = _History(self._epoch, next(self._incarnations))
        history.touched = now
        self._users.move_to_end(user_id)
        self._kept -= history.expire(now - self._max_age)
        return history

    def _release(self) -> None:
        oldest = self._clock.monotonic() - self._max_age
        while self._users:
            user_id, history = next(iter(self._users.items()))
            if history.touched >= oldest and self._kept <= self._max_messages:
                return
            self._kept -= history.trim(0)
            if history.subscriptions:
                history.touched = self._clock.monotonic()
                self._users.move_to_end(user_id)
            else:
                del self._users[user_id]


class _History:
    """One user's kept messages; those from `_last - len + 1` to `_last` are here, with no hole."""

    __slots__ = ("_epoch", "_incarnation", "_last", "_messages", "_place", "keys", "subscriptions", "touched")

    def __init__(self, epoch: str, incarnation: int) -> None:
        self._epoch = epoch
        self._incarnation = incarnation
        self._place = f"{epoch}:{incarnation}-"
        self._last = 0
        self._messages: deque[tuple[float, str, Message]] = deque()
        self.keys: set[str] = set()
        self.subscriptions: dict[_Subscription, None] = {}
        self.touched = 0.0

    @property
    def newest(self) -> Position:
        return Position(self._epoch, f"{self._incarnation}-{self._last}")

    def append(self, message: Message, key: str, *, now: float) -> Message:
        self._last += 1
        placed = message.at(self.newest)
        self._messages.append((now, key, placed))
        self.keys.add(key)
        return placed

    def deliver(self, message: Message) -> None:
        for subscription in tuple(self.subscriptions):
            # Looked up again: one receiver's turn may have closed another.
            if subscription in self.subscriptions:
                subscription.receiver.receive(message)

    def after(self, since: str | None) -> tuple[Opening, list[Message]]:
        if since is None:
            return Opening.READY, []
        missing = self._count_after(since)
        if missing is None:
            return Opening.RESET, []
        kept = len(self._messages)
        return Opening.RESUMED, [entry[2] for entry in islice(self._messages, kept - missing, None)]

    def _count_after(self, since: str) -> int | None:
        number = since.removeprefix(self._place)
        if number == since or _NUMBER.fullmatch(number) is None:
            return None
        missing = self._last - int(number)
        return missing if 0 <= missing <= len(self._messages) else None

    def trim(self, keep: int) -> int:
        """Drop the oldest down to `keep`; return how many went."""
        dropped = max(0, len(self._messages) - keep)
        for _ in range(dropped):
            self.keys.discard(self._messages.popleft()[1])
        return dropped

    def expire(self, oldest: float) -> int:
        """Drop what was published before `oldest`; return how many went."""
        dropped = 0
        while self._messages and self._messages[0][0] < oldest:
            self.keys.discard(self._messages.popleft()[1])
            dropped += 1
        return dropped


class _Subscription:
    __slots__ = ("_history", "receiver")

    def __init__(self, history: _History, receiver: Receiver) -> None:
        self._history = history
        self.receiver = receiver

    def close(self) -> None:
        self._history.subscriptions.pop(self, None)
