"""Many streams of a real service: everybody cut at once, a stop in the middle."""

import asyncio
import re
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from media_pipeline.ids import UserId
from tests.acceptance.process import STOP, Service, started
from tests.conformance.bus.recorder import state
from tests.servers.redis import RedisServer, redis_server

from .buses import process
from .readers import Reader, port_of, stopped

GIVEN_UP = "timeout graceful shutdown exceeded"
"""What the server says when it waited for connections until its patience ended."""


def count_questions(redis: RedisServer) -> int:
    """Return how often a history was read: that is the question whose answer may be long."""
    stats = redis.ask("INFO", "commandstats")
    assert isinstance(stats, bytes | str)
    text = stats.decode() if isinstance(stats, bytes) else stats
    found = re.search(r"cmdstat_xrange:calls=(\d+)", text)
    return int(found[1]) if found else 0


class Herd:
    """Clients as a browser is: they come back after the wait that they were told, and with their position."""

    def __init__(self, readers: Sequence[Reader], port: int) -> None:
        self.readers = readers
        self._port = port

    async def open(self) -> None:
        for first in range(0, len(self.readers), 50):
            await asyncio.gather(*(reader.open(self._port) for reader in self.readers[first : first + 50]))

    async def come_back(self) -> None:
        await asyncio.gather(*map(self._come_back, self.readers))

    async def _come_back(self, reader: Reader) -> None:
        await reader.lost.wait()
        while True:
            await asyncio.sleep(reader.retry_ms / 1000)  # as the server said
            try:
                await reader.open(self._port)
            except OSError:
                continue
            if not reader.lost.is_set():
                return


async def stop(service: Service, *, within: float) -> None:
    """Send SIGTERM; the service ends in time, and without waiting for any stream until its patience ends."""
    begin = time.monotonic()
    service.signal(signal.SIGTERM)
    assert await service.ended() == 0
    assert time.monotonic() - begin < within, "the exit took too long"
    assert GIVEN_UP not in service.log.read_text(), "a stream held up the exit"


async def check_herd(folder: Path, *, streams: int, users: int, within: float) -> None:
    names = [UserId(f"user{number}") for number in range(users)]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with redis_server() as redis:
        async with process(redis) as worker:
            given = {"redis_url": redis.url, "port": port, "media_streams_per_user": streams}
            with started(folder, **given) as service:
                herd = Herd([Reader(names[number % users]) for number in range(streams)], port)
                await herd.open()
                await stop(service, within=within)
                for reader in herd.readers:
                    await reader.lost.wait()
                assert all(reader.ended == 1 for reader in herd.readers), "a stream did not end cleanly"
                back = asyncio.create_task(herd.come_back())
            for user in names:
                await worker.bus.publish(state("missed", user=user))
            asked = count_questions(redis)
            with ExitStack() as stack:
                await asyncio.to_thread(stack.enter_context, started(folder, **given))
                async with asyncio.timeout(60):
                    await back
                asked = count_questions(redis) - asked
                for user in names:
                    await worker.bus.publish(state("after", user=user))
                for reader in herd.readers:
                    await reader.until("after")
                    reader.cut()
    assert {tuple(reader.keys) for reader in herd.readers} == {("missed", "after")}
    assert not any(reader.resets for reader in herd.readers)
    assert 0 < asked <= streams, "more than one question for each stream"
    check_spread([reader.retry_ms for reader in herd.readers])


def check_spread(waits: Sequence[int]) -> None:
    """Raise where more than a quarter of all were told to come back within a tenth of a second."""
    times = sorted(waits)
    for number, begin in enumerate(times):
        together = sum(begin <= later < begin + 100 for later in times[number:])
        assert together <= len(times) / 4, f"{together} of {len(times)} come back at once"


async def test_a_stop_ends_all_cleanly_and_they_come_back_spread(tmp_path: Path) -> None:
    """SIGTERM ends 100 streams cleanly, without a wait; they return apart, and miss and repeat nothing."""
    await check_herd(tmp_path, streams=100, users=20, within=STOP)


@pytest.mark.long
async def test_two_thousand_streams_come_back_spread(tmp_path: Path) -> None:
    """The same with 2,000 streams, within 2 s: one question each, nothing missed."""
    await check_herd(tmp_path, streams=2000, users=400, within=2)


@pytest.mark.long
async def test_a_thousand_streams_end_within_two_seconds(tmp_path: Path) -> None:
    """SIGTERM with 1,000 streams, some of which read nothing: exit within 2 s, all others clean."""
    with started(tmp_path, media_streams_per_user=1000) as service:
        readers = [Reader(UserId("ann")) for _ in range(980)]
        async with stopped(service, [UserId("ann")] * 20):
            for reader in readers:
                await reader.open(port_of(service))
            await stop(service, within=2)
            for reader in readers:
                await reader.lost.wait()
    assert all(reader.ended == 1 for reader in readers)
