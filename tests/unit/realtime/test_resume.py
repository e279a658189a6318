"""Cut a stream anywhere and come back: exactly the states sent, in order."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from media_pipeline.ids import JobId
from media_pipeline.realtime.hub import Hub
from media_pipeline.realtime.memory import MemoryBus
from media_pipeline.realtime.seats import OwnSeats
from media_pipeline.realtime.sse import Decoder
from tests.clocks import FakeClock

from .doubles import ANN, FakeOutlet, progress, settle, state

# Each step: is it a state (or progress), of which job, and does the loop turn after it.
Steps = list[tuple[bool, str, bool]]
STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.booleans()), max_size=12)


@settings(max_examples=25, deadline=None)
@given(before=STEPS, amid=STEPS, after=STEPS)
def test_a_cut_at_any_byte_loses_and_repeats_no_state(
    before: list[tuple[bool, str, bool]],
    amid: list[tuple[bool, str, bool]],
    after: list[tuple[bool, str, bool]],
) -> None:
    """Whichever byte a reader last got, what it saw and what its return brings are the states sent."""
    asyncio.run(_check(before, amid, after))


async def _check(*acts: Steps) -> None:
    bus = MemoryBus(clock=FakeClock())
    hub = Hub(bus, OwnSeats(1), clock=FakeClock())
    before, amid, after = acts
    await _play(bus, "before", before)
    stream = await _follow(hub, bus, amid)
    sent = [f'"amid{number}"' for number, step in enumerate(amid) if step[0]]
    sent += [f'"after{number}"' for number, step in enumerate(after) if step[0]]
    await _play(bus, "after", after)
    for end in range(len(stream) + 1):
        decoder = Decoder()
        seen = [event.data for event in decoder.feed(stream[:end]) if event.event == "state"]
        if decoder.last_event_id:
            seen += await _come_back(hub, decoder.last_event_id)
            assert seen == sent, stream[:end]
    await hub.aclose()


async def _play(bus: MemoryBus, name: str, steps: Steps) -> None:
    for number, (is_state, job, turn) in enumerate(steps):
        key = f"{name}{number}"
        await bus.publish(state(key, job=JobId(job)) if is_state else progress(number, job=JobId(job)))
        if turn:
            await asyncio.sleep(0)


async def _follow(hub: Hub, bus: MemoryBus, steps: Steps) -> bytes:
    outlet = FakeOutlet()
    connection = await hub.connect(outlet, user_id=ANN)
    connection.start()
    await hub.begin(connection)
    await _play(bus, "amid", steps)
    await settle()
    connection.close()
    return b"".join(outlet.writes)


async def _come_back(hub: Hub, position: str) -> list[str]:
    outlet = FakeOutlet()
    connection = await hub.connect(outlet, user_id=ANN)
    connection.start()
    await hub.begin(connection, since=position)
    connection.resume()
    connection.close()
    assert "ready" not in outlet.names
    assert "reset" not in outlet.names
    return outlet.data
