"""What the in-process bus promises beyond every bus: its memory is bounded, and honestly so."""

from collections.abc import Sequence

from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import Message, Opening, Position
from media_pipeline.realtime.memory import MemoryBus
from tests.clocks import FakeClock

from .doubles import ANN, BOB, state


class Reader:
    def __init__(self) -> None:
        self.opening = Opening.RESET
        self.position = ""
        self.keys: list[str | None] = []

    def open(self, opening: Opening, position: Position, missed: Sequence[Message]) -> None:
        self.opening, self.position = opening, str(position)
        self.keys += [message.key for message in missed]

    def receive(self, message: Message) -> None:
        self.position = str(message.position)
        self.keys.append(message.key)


async def join(bus: MemoryBus, *, user: UserId = ANN, since: str | None = None, stay: bool = False) -> Reader:
    reader = Reader()
    subscription = await bus.subscribe(user, reader, since=since)
    if not stay:
        subscription.close()
    return reader


async def test_history_is_kept_to_the_message(clock: FakeClock) -> None:
    """With room for three, the position before the three resumes and the one before that does not."""
    bus = MemoryBus(clock=clock, history=3)
    seen = await join(bus, stay=True)
    positions = [seen.position]
    for key in "abcd":
        await bus.publish(state(key))
        positions.append(seen.position)
    assert (await join(bus, since=positions[0])).opening is Opening.RESET
    assert (await join(bus, since=positions[1])).keys == ["b", "c", "d"]
    assert (await join(bus, since=positions[4])).opening is Opening.RESUMED


async def test_old_messages_are_forgotten(clock: FakeClock) -> None:
    """What is older than the limit is gone, and positions before it are resets."""
    bus = MemoryBus(clock=clock, max_age=60)
    seen = await join(bus, stay=True)
    begin = seen.position
    await bus.publish(state("a"))
    after_a = seen.position
    clock.advance(40)
    await bus.publish(state("b"))
    clock.advance(40)
    assert (await join(bus, since=begin)).opening is Opening.RESET
    assert (await join(bus, since=after_a)).keys == ["b"]
    await bus.publish(state("a"))
    assert seen.keys == ["a", "b", "a"]


async def test_a_user_who_is_gone_leaves_nothing_and_never_resumes_wrongly(clock: FakeClock) -> None:
    """A released history makes every position of before a reset, also when offsets count again."""
    bus = MemoryBus(clock=clock, max_age=60)
    seen = await join(bus)
    await bus.publish(state("a"))
    clock.advance(100)
    await bus.publish(state("b", user=BOB))
    assert list(bus._users) == [BOB]
    assert bus._kept == 1
    await bus.publish(state("c"))
    assert (await join(bus, since=seen.position)).opening is Opening.RESET


async def test_messages_in_all_are_bounded(clock: FakeClock) -> None:
    """Over the bound the longest untouched users give way; those who listen are told, not cut."""
    bus = MemoryBus(clock=clock, max_messages=10)
    listener = await join(bus, user=BOB, stay=True)
    begin = listener.position
    await bus.publish(state("b", user=BOB))
    for number in range(50):
        await bus.publish(state(f"{number}", user=UserId(f"u{number}")))
        assert bus._kept <= 10
    assert len(bus._users) <= 11
    assert (await join(bus, user=BOB, since=begin)).opening is Opening.RESET
    await bus.publish(state("c", user=BOB))
    assert listener.keys == ["b", "c"]


async def test_a_listener_alone_is_never_released(clock: FakeClock) -> None:
    """A subscription survives any idle time."""
    bus = MemoryBus(clock=clock, max_age=60)
    listener = await join(bus, stay=True)
    begin = listener.position
    clock.advance(1000)
    await bus.publish(state("b", user=BOB))
    await bus.publish(state("a"))
    assert listener.keys == ["a"]
    assert (await join(bus, since=begin)).keys == ["a"]


async def test_each_bus_has_an_epoch_of_its_own(clock: FakeClock) -> None:
    """Two lives of the process never share positions."""
    one, two = [(await join(MemoryBus(clock=clock))).position.partition(":")[0] for _ in range(2)]
    assert one != two
    assert len(one) == 8


async def test_closing_in_another_receivers_turn_is_final(clock: FakeClock) -> None:
    """A receiver that closes another's subscription while a message goes round silences it at once."""
    bus = MemoryBus(clock=clock)
    second = Reader()

    class Closer(Reader):
        def receive(self, message: Message) -> None:
            subscription.close()

    await bus.subscribe(ANN, Closer())
    subscription = await bus.subscribe(ANN, second)
    await bus.publish(state("a"))
    assert second.keys == []
