"""A bus and a hub under a clock that stands still."""

from collections.abc import AsyncIterator

import pytest

from media_pipeline.realtime.hub import Hub
from media_pipeline.realtime.memory import MemoryBus
from media_pipeline.realtime.seats import OwnSeats
from tests.clocks import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bus(clock: FakeClock) -> MemoryBus:
    return MemoryBus(clock=clock, epoch="e", history=50)


@pytest.fixture
async def hub(bus: MemoryBus, clock: FakeClock) -> AsyncIterator[Hub]:
    hub = Hub(
        bus,
        OwnSeats(3),
        clock=clock,
        ping_seconds=15,
        stall_seconds=30,
        max_backlog_events=8,
        max_backlog_bytes=4096,
        max_streams=5,
        retry_spread=0,
    )
    yield hub
    await hub.aclose()
