"""A stream of one job: its state so far and what is live meet without hole or repeat."""

import asyncio
from collections.abc import Sequence
from itertools import combinations_with_replacement

import pytest

from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.bus import Message, Opening, Position
from media_pipeline.realtime.connection import Connection
from media_pipeline.realtime.events import (
    Event,
    GenerationComplete,
    GenerationProgress,
    GenerationStarted,
    JobQueued,
    encode_event,
)
from media_pipeline.realtime.feed import Feed
from media_pipeline.realtime.hub import Hub, UnknownJob
from media_pipeline.realtime.memory import MemoryBus
from media_pipeline.realtime.sse import Decoder

from .doubles import ANN, JOB, FakeOutlet, settle, state

EVENTS: Sequence[Event] = (
    JobQueued(job_id=JOB),
    GenerationStarted(job_id=JOB),
    GenerationComplete(job_id=JOB, result={"items": []}),
)
NAMES = ["job_queued", "generation_started", "generation_complete"]


async def publish(bus: MemoryBus, *events: Event) -> None:
    for event in events:
        await bus.publish(encode_event(ANN, event))


async def corked(hub: Hub) -> tuple[FakeOutlet, Connection]:
    outlet = FakeOutlet()
    return outlet, await hub.connect(outlet, user_id=ANN)


@pytest.mark.parametrize(
    ("before", "read", "after"),
    list(combinations_with_replacement(range(4), 3)),
)
@pytest.mark.parametrize("lag", [0, 1])
async def test_snapshot_and_live_meet_exactly(
    hub: Hub, bus: MemoryBus, before: int, read: int, after: int, lag: int
) -> None:
    """Whenever the subscription, the snapshot and its answer fall, each event is seen once, in order.

    `before` events happened before the subscription, `read` before the snapshot, `after` before its
    answer came; the bus hears of each `lag` events later than the database.
    """

    async def snapshot(_user: UserId, _job: JobId) -> Sequence[Event]:
        await publish(bus, *EVENTS[max(0, before - lag) : max(0, read - lag)])
        found = EVENTS[:read]
        await publish(bus, *EVENTS[max(0, read - lag) : max(0, after - lag)])
        return found

    await publish(bus, *EVENTS[: max(0, before - lag)])
    outlet, connection = await corked(hub)
    await hub.begin_job(connection, JOB, snapshot=snapshot)
    connection.start()
    await publish(bus, *EVENTS[max(0, after - lag) :])
    await settle()
    assert [name for name in outlet.names if name != "ready"] == NAMES
    assert outlet.names.index("ready") == read
    await check_every_cut(hub, b"".join(outlet.writes), repeats=lag > 0)


async def check_every_cut(hub: Hub, stream: bytes, *, repeats: bool) -> None:
    """Cut a recorded stream after every byte; with what a second stream brings, nothing is amiss.

    With `repeats`, what the snapshot told before the bus knew it may come again, to be merged by job.
    """
    for end in range(len(stream) + 1):
        decoder = Decoder()
        names = [event.event for event in decoder.feed(stream[:end])]
        if not decoder.last_event_id:
            continue
        outlet, connection = await corked(hub)
        await hub.begin_job(connection, JOB, snapshot=nothing, since=decoder.last_event_id)
        connection.start()
        connection.close()
        seen = [name for name in (*names, *outlet.names) if name != "ready"]
        assert (list(dict.fromkeys(seen)) if repeats else seen) == NAMES, stream[:end]


async def nothing(_user: UserId, _job: JobId) -> Sequence[Event]:
    return ()


async def test_only_the_last_of_the_snapshot_carries_a_position(hub: Hub, bus: MemoryBus) -> None:
    """A cut amid the snapshot leaves the reader without a position, so that it starts over."""

    async def snapshot(_user: UserId, _job: JobId) -> Sequence[Event]:
        return EVENTS

    await publish(bus, *EVENTS)
    outlet, connection = await corked(hub)
    await hub.begin_job(connection, JOB, snapshot=snapshot)
    connection.start()
    assert [event.id for event in outlet.events] == [None, None, "e:1-3", "e:1-3"]
    assert outlet.names == [*NAMES, "ready"]


async def test_a_job_stream_carries_its_job_alone(hub: Hub, bus: MemoryBus) -> None:
    """Other jobs and the library are filtered out, live and when resumed."""
    outlet, connection = await corked(hub)
    await hub.begin_job(connection, JOB, snapshot=nothing)
    connection.start()
    await bus.publish(state("x", job=JobId("other")))
    await bus.publish(state("y", job=JOB))
    await settle()
    assert outlet.names == ["ready", "state"]
    again, connection = await corked(hub)
    await hub.begin_job(connection, JOB, snapshot=nothing, since=outlet.events[0].id)
    connection.start()
    assert again.data == ['"y"']


@pytest.mark.parametrize("since", [None, "e:1-0", "garbage"])
async def test_an_unknown_job_is_said_before_a_byte(hub: Hub, since: str | None) -> None:
    """`UnknownJob` of the snapshot comes out, with or without a position, and nothing was written."""

    async def snapshot(_user: UserId, _job: JobId) -> Sequence[Event]:
        raise UnknownJob("There is no such job.")

    outlet, connection = await corked(hub)
    with pytest.raises(UnknownJob):
        await hub.begin_job(connection, JOB, snapshot=snapshot, since=since)
    connection.close()
    assert outlet.writes == []


async def test_progress_of_before_the_snapshot_is_dropped(hub: Hub, bus: MemoryBus) -> None:
    """Progress that came while the snapshot was read never follows the end that the snapshot told."""

    async def snapshot(_user: UserId, _job: JobId) -> Sequence[Event]:
        await publish(bus, GenerationProgress(job_id=JOB, progress=1.0))
        return EVENTS

    outlet, connection = await corked(hub)
    await hub.begin_job(connection, JOB, snapshot=snapshot)
    connection.start()
    await settle()
    assert outlet.names == [*NAMES, "ready"]


# A bus that heals: what the receiver is told after a loss.

P1, P2 = Position("e", "1"), Position("f", "9")


async def healed(hub: Hub, opening: Opening, missed: Sequence[Message], *, whole: bool) -> FakeOutlet:
    outlet, connection = await corked(hub)
    connection.start()
    receiver = connection if whole else Feed(connection, job_id=JOB)
    receiver.open(Opening.READY, P1, [])
    receiver.open(opening, P2, missed)
    receiver.receive(state("live").at(Position("f", "10")))
    await settle()
    return outlet


@pytest.mark.parametrize("whole", [True, False])
async def test_a_healed_loss_brings_what_was_missed(hub: Hub, *, whole: bool) -> None:
    """A second opening that resumed sends the missed states and goes on; of all jobs or of one."""
    outlet = await healed(hub, Opening.RESUMED, [state("a").at(Position("e", "2"))], whole=whole)
    assert outlet.data == ["{}", '"a"', '"live"']


@pytest.mark.parametrize("whole", [True, False])
async def test_a_loss_that_cannot_heal_is_told(hub: Hub, *, whole: bool) -> None:
    """A second opening that did not resume is a `reset` with its position, then life goes on."""
    outlet = await healed(hub, Opening.RESET, [], whole=whole)
    assert outlet.names == ["ready", "reset", "state"]
    assert outlet.events[1].id == "f:9"


async def test_a_loss_while_the_snapshot_is_read_is_told_after_it(hub: Hub) -> None:
    """The snapshot may be older than the loss: it carries no position, and `reset` follows it."""
    outlet, connection = await corked(hub)
    connection.start()
    feed = Feed(connection, job_id=JOB)
    feed.hold()
    feed.open(Opening.READY, P1, [])
    feed.receive(state("lost").at(Position("e", "2")))
    feed.open(Opening.RESET, P2, [])
    feed.receive(state("new").at(Position("f", "10")))
    feed.release([encode_event(ANN, EVENTS[0])])
    await settle()
    assert outlet.names == ["job_queued", "reset", "state"]
    assert [event.id for event in outlet.events] == [None, "f:9", "f:10"]


async def test_a_resumption_while_the_snapshot_is_read_is_held(hub: Hub) -> None:
    """States missed in a loss during the snapshot come after it, and the position stays before them."""
    outlet, connection = await corked(hub)
    connection.start()
    feed = Feed(connection, job_id=JOB)
    feed.hold()
    feed.open(Opening.READY, P1, [])
    feed.open(Opening.RESUMED, Position("e", "2"), [state("missed").at(Position("e", "2"))])
    feed.release([encode_event(ANN, EVENTS[0])])
    await asyncio.sleep(0)
    await settle()
    assert outlet.names == ["job_queued", "ready", "state"]
    assert [event.id for event in outlet.events] == ["e:1", "e:1", "e:2"]
