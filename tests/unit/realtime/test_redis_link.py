"""What a link to Redis writes, and when."""

import asyncio

import hiredis

from media_pipeline.realtime.redis_link import Link


class Wire(asyncio.Transport):
    """What was written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))


async def test_the_first_command_of_a_turn_goes_at_once_and_the_others_together() -> None:
    """Nobody waits for a turn of the loop, and many commands are two writes."""
    link, wire = Link({}), Wire()
    link.connection_made(wire)
    said = [hiredis.pack_command(("ECHO", number)) for number in range(4)]  # type: ignore[arg-type] # the stub knows one word only
    for number in range(3):
        link.tell("ECHO", number)
    assert wire.writes == said[:1]
    await asyncio.sleep(0)
    assert wire.writes == [said[0], said[1] + said[2]]
    link.tell("ECHO", 3)
    assert wire.writes[2:] == said[3:]
