"""Publishing typed events on a bus."""

from __future__ import annotations

from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import Bus
from media_pipeline.realtime.events import Event, encode_event


class Publisher:
    """Encode an event once and hand it to the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, user_id: UserId, event: Event) -> None:
        """Send `event` to its user; `BusError` if the bus cannot take it."""
        await self._bus.publish(encode_event(user_id, event))
