"""Many streams of a real service: stopped readers, everybody cut at once, a stop in the middle."""

import asyncio
import json
import re
import select
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.bus import Bus, Message
from media_pipeline.realtime.sse import ServerSentEvent, encode_frame
from tests.acceptance.process import Service, started
from tests.conformance.bus.recorder import state
from tests.servers.redis import RedisServer, redis_server

from .buses import process
from .readers import Reader, port_of, stopped

KIB = 1024


# Stopped readers beside live ones.


@dataclass
class Ages:
    """How old events were when they came, in milliseconds."""

    ages: list[float]

    def hear(self, event: ServerSentEvent) -> None:
        if event.event == "stamped":
            self.ages.append((time.perf_counter_ns() - json.loads(event.data)["at"]) / 1e6)

    def take_p99(self) -> float:
        ages, self.ages = sorted(self.ages), []
        return ages[int(len(ages) * 0.99)]


def stamped(user: UserId, size: int) -> Message:
    now = time.perf_counter_ns()
    data = b'{"at":%d,"pad":"%b"}' % (now, b"x" * size)
    return Message(user, JobId("j"), encode_frame("stamped", data), str(now))


async def tell(bus: Bus, users: Sequence[UserId], *, each: int, size: int, seconds: float) -> None:
    """Send every user `each` events, spread over `seconds`."""
    began = time.perf_counter()
    for number in range(each):
        for place, user in enumerate(users):
            due = began + (number + place / len(users)) / each * seconds
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)  # the rate of the load
            await bus.publish(stamped(user, size))


def kept_in_kernel(port: int) -> int:
    """Return the most bytes that the kernel holds for one connection of the server at `port` (Linux)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    queues = [row[4] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"]
    return max(int(queue.partition(":")[0], 16) for queue in queues)


def memory(service: Service) -> int:
    """Return the service's own memory in bytes."""
    rollup = Path(f"/proc/{service.process.pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)
    assert found is not None
    return int(found[1]) * KIB


def until_closed(links: Sequence[socket.socket], *, seconds: float) -> None:
    """Wait until the service has dropped every one of these connections, without reading from them."""
    poll, waiting = select.poll(), {link.fileno() for link in links}
    for number in waiting:
        poll.register(number, select.POLLRDHUP)
    deadline = time.monotonic() + seconds
    while waiting:
        left = deadline - time.monotonic()
        assert left > 0, f"{len(waiting)} stopped readers are still open"
        for number, _ in poll.poll(left * 1000):
            poll.unregister(number)
            waiting.discard(number)


@dataclass(frozen=True)
class Load:
    """What is sent: a little to who reads; too much to half of the others, to half what fills a socket."""

    live: Sequence[UserId]
    deaf: Sequence[UserId]
    seconds: float

    async def send(self, bus: Bus) -> None:
        await asyncio.gather(
            tell(bus, self.live, each=20, size=200, seconds=self.seconds),
            tell(bus, self.deaf[::2], each=60, size=4 * KIB, seconds=self.seconds),
            tell(bus, self.deaf[1::2], each=36, size=4 * KIB, seconds=self.seconds),
        )


async def check_stopped(folder: Path, *, live: int, stop: int, seconds: float, stall: float) -> None:
    users = [UserId(f"live{number}") for number in range(live)]
    load = Load(users, [UserId(f"stopped{number}") for number in range(stop)], seconds)
    ages = Ages([])
    with redis_server() as redis:
        given = {"redis_url": redis.url, "media_stall_seconds": stall}
        with started(folder, **given) as service:
            async with process(redis) as worker:
                readers = [Reader(user, hear=ages.hear) for user in users]
                for reader in readers:
                    await reader.open(port_of(service))
                await load.send(worker.bus)
                alone = ages.take_p99()
                async with stopped(service, load.deaf) as links:
                    before = memory(service)
                    await load.send(worker.bus)
                    kernel = kept_in_kernel(port_of(service))
                    cost = (memory(service) - before) / stop + kernel
                    beside = ages.take_p99()
                    await asyncio.to_thread(until_closed, links, seconds=stall + 10)
                assert not any(reader.lost.is_set() for reader in readers)
                for reader in readers:
                    reader.cut()
    assert kernel > 0, "nobody was stopped"
    assert cost <= 256 * KIB, f"a stopped reader cost {cost / KIB:.0f} KiB, {kernel / KIB:.0f} in the kernel"
    assert beside <= 2 * alone + 10, f"live p99 went from {alone:.1f} to {beside:.1f} ms"


async def test_stopped_readers_cost_little_and_harm_nobody(tmp_path: Path) -> None:
    """Ten stopped readers beside forty live ones are bounded and dropped; the live ones notice nothing."""
    await check_stopped(tmp_path, live=40, stop=10, seconds=2, stall=1)


@pytest.mark.long
async def test_a_hundred_stopped_readers_cost_little_and_harm_nobody(tmp_path: Path) -> None:
    """100 stopped beside 400 live: 256 KiB each at most, closed within 30 s, live p99 unharmed."""
    await check_stopped(tmp_path, live=400, stop=100, seconds=8, stall=20)


# Everybody cut at once.


def count_questions(redis: RedisServer) -> int:
    """Return how many scripts the server has run."""
    stats = redis.ask("INFO", "commandstats")
    assert isinstance(stats, bytes | str)
    text = stats.decode() if isinstance(stats, bytes) else stats
    found = re.search(r"cmdstat_evalsha:calls=(\d+)", text)
    return int(found[1]) if found else 0


class Herd:
    """Clients as a browser is: they come back after the wait that they were told, and with their position."""

    def __init__(self, readers: Sequence[Reader], port: int) -> None:
        self.readers = readers
        self.returns: list[float] = []
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
            came = time.monotonic()
            try:
                await reader.open(self._port)
            except OSError:
                continue
            if not reader.lost.is_set():
                self.returns.append(came)
                return


async def check_herd(folder: Path, *, streams: int, users: int) -> None:
    names = [UserId(f"user{number}") for number in range(users)]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with redis_server() as redis:
        async with process(redis) as worker:
            given = {"redis_url": redis.url, "port": port, "media_streams_per_user": streams}
            with started(folder, **given) as service:
                herd = Herd([Reader(names[number % users]) for number in range(streams)], port)
                await herd.open()
                begin = time.monotonic()
                service.signal(signal.SIGTERM)
                assert await service.ended() == 0
                assert time.monotonic() - begin < 2, "the exit took too long"
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
    assert asked <= streams, "more than one question for each stream"
    check_spread(herd.returns)


def check_spread(returns: Sequence[float]) -> None:
    """Raise where more than a quarter of all came back within a tenth of a second."""
    times = sorted(returns)
    for number, begin in enumerate(times):
        together = sum(begin <= later < begin + 0.1 for later in times[number:])
        assert together <= len(times) / 4, f"{together} of {len(times)} came back at once"


async def test_a_stop_ends_all_cleanly_and_they_come_back_spread(tmp_path: Path) -> None:
    """SIGTERM ends 100 streams cleanly within 2 s; they return apart, and miss and repeat nothing."""
    await check_herd(tmp_path, streams=100, users=20)


@pytest.mark.long
async def test_two_thousand_streams_come_back_spread(tmp_path: Path) -> None:
    """The same with 2,000 streams: one question each, nothing missed."""
    await check_herd(tmp_path, streams=2000, users=400)


@pytest.mark.long
async def test_a_thousand_streams_end_within_two_seconds(tmp_path: Path) -> None:
    """SIGTERM with 1,000 streams, some of which read nothing: exit within 2 s, all others clean."""
    with started(tmp_path, media_streams_per_user=1000) as service:
        readers = [Reader(UserId("ann")) for _ in range(980)]
        async with stopped(service, [UserId("ann")] * 20):
            for reader in readers:
                await reader.open(port_of(service))
            begin = time.monotonic()
            service.signal(signal.SIGTERM)
            assert await service.ended() == 0
            assert time.monotonic() - begin < 2
            for reader in readers:
                await reader.lost.wait()
    assert all(reader.ended == 1 for reader in readers)
