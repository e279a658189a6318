"""The hub: what readers get, fast and slow, and how streams end."""

import pytest

from media_pipeline.ids import JobId
from media_pipeline.realtime.bus import BusError
from media_pipeline.realtime.connection import Connection
from media_pipeline.realtime.hub import Hub, TooManyStreams
from media_pipeline.realtime.memory import MemoryBus
from media_pipeline.realtime.seats import OwnSeats
from media_pipeline.realtime.sse import Decoder
from tests.clocks import FakeClock

from .doubles import ANN, BOB, FakeOutlet, elapse, progress, settle, state

HELLO = b": ok\nretry: 2000\n"


async def follow(hub: Hub, *, slow: bool = False, since: str | None = None) -> tuple[FakeOutlet, Connection]:
    outlet = FakeOutlet(slow=slow)
    connection = await hub.connect(outlet, user_id=ANN)
    connection.start()
    await hub.begin(connection, since=since)
    await settle()
    return outlet, connection


async def test_first_bytes_go_at_once(hub: Hub) -> None:
    """A started stream says a sign of life and the wait before anything is asked of the bus."""
    outlet = FakeOutlet()
    (await hub.connect(outlet, user_id=ANN)).start()
    assert outlet.writes == [HELLO]


async def test_those_who_come_back_are_spread(bus: MemoryBus, clock: FakeClock) -> None:
    """Readers are told different waits, from half of the usual one to one and a half."""
    hub, waits = Hub(bus, OwnSeats(200), clock=clock, retry_ms=2000), []
    for _ in range(200):
        outlet, decoder = FakeOutlet(), Decoder()
        (await hub.connect(outlet, user_id=ANN)).start()
        decoder.feed(b"".join(outlet.writes))
        waits.append(decoder.retry_ms or 0)
    assert len(set(waits)) > 8
    assert 1000 <= min(waits) < 1300
    assert 2700 < max(waits) <= 3000
    await hub.aclose()


async def test_a_new_stream_begins_with_ready(hub: Hub, bus: MemoryBus) -> None:
    """Without a position the first event is `ready` with the newest one."""
    await bus.publish(state("a"))
    outlet, _ = await follow(hub)
    assert outlet.writes[1] == b"id: e:1-1\nevent: ready\ndata: {}\n\n"


async def test_frames_of_one_turn_leave_in_one_write(hub: Hub, bus: MemoryBus) -> None:
    """Events published in one turn of the loop are one write, in order."""
    outlet, _ = await follow(hub)
    for key in "abc":
        await bus.publish(state(key))
    await settle()
    assert len(outlet.writes) == 3
    assert outlet.data == ["{}", '"a"', '"b"', '"c"']


async def test_a_lone_frame_is_shared_by_all(hub: Hub, bus: MemoryBus) -> None:
    """Readers are handed the same object: nothing is encoded or copied for each."""
    one, _ = await follow(hub)
    two, _ = await follow(hub)
    await bus.publish(state("a"))
    await settle()
    assert one.writes[-1] is two.writes[-1]


async def test_what_was_missed_comes_first(hub: Hub, bus: MemoryBus) -> None:
    """With a kept position there is no `ready`: the missed states come, then what is live."""
    outlet, connection = await follow(hub)
    position = outlet.events[0].id
    connection.close()
    await bus.publish(state("a"))
    await bus.publish(progress(1))
    again, _ = await follow(hub, since=position)
    await bus.publish(state("b"))
    await settle()
    assert again.data == ['"a"', '"b"']
    assert [event.id for event in again.events] == ["e:1-1", "e:1-2"]


async def test_a_lost_position_is_told(hub: Hub) -> None:
    """A position that cannot resume begins the stream with `reset`, its reason and a position that can."""
    outlet, _ = await follow(hub, since="other:1")
    (event,) = outlet.events
    assert (event.event, event.data, event.id) == ("reset", '{"reason":"history"}', "e:1-0")


async def test_a_long_absence_is_no_backlog(hub: Hub, bus: MemoryBus) -> None:
    """More missed states than a slow reader may hold back still come, in one write, and life goes on."""
    for number in range(40):
        await bus.publish(state(f"k{number}"))
    outlet = FakeOutlet()
    connection = await hub.connect(outlet, user_id=ANN)
    connection.start()
    outlet.slow = True
    await hub.begin(connection, since="e:1-0")
    await settle()
    await bus.publish(state("live"))
    connection.resume()
    assert len(outlet.writes) == 3
    assert outlet.data == [*(f'"k{number}"' for number in range(40)), '"live"']


async def test_a_burst_is_no_fault_of_a_reader_who_keeps_up(hub: Hub, bus: MemoryBus) -> None:
    """Any number of events in one turn reach a reader whose outlet takes them."""
    outlet, _ = await follow(hub)
    for number in range(40):
        await bus.publish(state(f"k{number}"))
    await settle()
    assert outlet.data[1:] == [f'"k{number}"' for number in range(40)]


async def test_a_slow_reader_gets_states_in_order_and_only_the_newest_progress(
    hub: Hub, bus: MemoryBus
) -> None:
    """What waits is conflated: each slot's newest progress, every state, nothing behind its end."""
    outlet, connection = await follow(hub, slow=True)
    other = JobId("other")
    for number in range(100):
        await bus.publish(progress(number))
        await bus.publish(progress(number, job=other))
    await bus.publish(state("end"))
    await bus.publish(state("next", job=other))
    await bus.publish(progress(100, job=other))
    assert outlet.data == []
    connection.resume()
    connection.resume()
    assert outlet.data == ["{}", '"end"', '"next"', "100"]


async def test_a_backlog_over_the_bound_drops_the_stream_and_nothing_else(hub: Hub, bus: MemoryBus) -> None:
    """A reader too far behind is cut, loses nothing on return, and its neighbour notices nothing."""
    slow, _ = await follow(hub, slow=True)
    fast, _ = await follow(hub)
    begin = fast.events[0].id
    for number in range(12):
        await bus.publish(state(f"k{number}"))
    await settle()
    assert slow.fate == "aborted"
    assert slow.writes == [HELLO]
    assert hub.streams == 1
    again, _ = await follow(hub, since=begin)
    assert again.data == fast.data[1:] == [f'"k{number}"' for number in range(12)]


async def test_a_backlog_is_bounded_in_bytes(hub: Hub, bus: MemoryBus) -> None:
    """A few great frames weigh as much as many small ones."""
    outlet, _ = await follow(hub, slow=True)
    await bus.publish(state("a", size=3000))
    assert outlet.fate == "open"
    await bus.publish(state("b", size=3000))
    assert outlet.fate == "aborted"


async def test_a_reader_who_stands_still_is_dropped(hub: Hub, clock: FakeClock) -> None:
    """After the stall time without a byte taken, and not before, the stream is cut."""
    outlet, _ = await follow(hub, slow=True)
    await elapse(clock, 29)
    assert outlet.fate == "open"
    await elapse(clock, 2)
    assert outlet.fate == "aborted"
    assert hub.streams == 0


async def test_a_reader_who_is_only_slow_is_kept(hub: Hub, clock: FakeClock) -> None:
    """As long as bytes are taken, however few, the stall time begins anew; then it is over."""
    outlet = FakeOutlet(slow=True)
    outlet.left = 3
    (await hub.connect(outlet, user_id=ANN)).start()
    for _ in range(3):
        await elapse(clock, 20)
        outlet.left -= 1
    assert outlet.fate == "open"
    await elapse(clock, 62)
    assert outlet.fate == "aborted"


async def test_a_reader_who_went_on_is_kept(hub: Hub, clock: FakeClock) -> None:
    """Taking bytes again ends the stall."""
    outlet, connection = await follow(hub, slow=True)
    await elapse(clock, 20)
    outlet.slow = False
    connection.resume()
    await elapse(clock, 60)
    assert outlet.fate == "open"


async def test_silence_is_broken_by_pings(hub: Hub, bus: MemoryBus, clock: FakeClock) -> None:
    """An idle stream carries a comment each interval, a busy one needs none, a stalled one gets none."""
    idle, _ = await follow(hub)
    slow, _ = await follow(hub, slow=True)
    await elapse(clock, 16)
    assert idle.writes[2:] == [b":\n"]
    await elapse(clock, 10)
    await bus.publish(progress(1))
    await elapse(clock, 10)
    assert idle.writes[2:] == [b":\n", progress(1).frame]
    await elapse(clock, 10)
    assert idle.writes[-1] == b":\n"
    assert slow.writes == [HELLO]


async def test_a_stream_ends_when_its_token_does(hub: Hub, clock: FakeClock) -> None:
    """At the expiry the stream ends cleanly, whatever its next ping."""
    outlet = FakeOutlet()
    (await hub.connect(outlet, user_id=ANN, expires_at=clock.now() + 20)).start()
    await elapse(clock, 19)
    assert outlet.fate == "open"
    await elapse(clock, 2)
    assert outlet.fate == "ended"
    assert hub.streams == 0


async def test_closing_ends_every_stream_cleanly(hub: Hub, bus: MemoryBus) -> None:
    """`aclose` lets streams say what waits, ends them, and refuses new ones with a retryable error."""
    outlet, _ = await follow(hub)
    await bus.publish(state("a"))
    await hub.aclose()
    assert outlet.fate == "ended"
    assert outlet.data[-1] == '"a"'
    assert hub.streams == 0
    with pytest.raises(BusError):
        await hub.connect(FakeOutlet(), user_id=ANN)


async def test_a_stream_that_closes_while_it_begins_listens_no_more(hub: Hub, bus: MemoryBus) -> None:
    """A reader gone before the bus answered leaves no subscription."""
    outlet = FakeOutlet()
    connection = await hub.connect(outlet, user_id=ANN)
    connection.close()
    await hub.begin(connection)
    await bus.publish(state("a"))
    await settle()
    assert outlet.writes == []
    assert not bus._users[ANN].subscriptions


async def test_streams_are_limited_by_user_and_in_all(hub: Hub) -> None:
    """Over either limit a retryable error comes, and a stream that closes makes room."""
    streams = [await hub.connect(FakeOutlet(), user_id=ANN) for _ in range(3)]
    with pytest.raises(TooManyStreams):
        await hub.connect(FakeOutlet(), user_id=ANN)
    streams[0].close()
    streams[0].close()
    await hub.connect(FakeOutlet(), user_id=ANN)
    for _ in range(2):
        await hub.connect(FakeOutlet(), user_id=BOB)
    with pytest.raises(TooManyStreams) as caught:
        await hub.connect(FakeOutlet(), user_id=BOB)
    assert (caught.value.code, caught.value.retryable) == ("too_many_streams", True)


async def test_one_timer_serves_all_streams(hub: Hub, clock: FakeClock) -> None:
    """Streams add no task and no timer of their own."""
    await follow(hub)
    await follow(hub)
    await settle()
    assert clock._asleep() == 1


async def test_closed_streams_leave_the_wheel(hub: Hub, clock: FakeClock) -> None:
    """A stream that is gone is forgotten within one ping interval."""
    _, connection = await follow(hub)
    connection.close()
    await elapse(clock, 16)
    assert not hub._wheel._buckets
