"""Readers of a real service that stop reading, beside others that read: what they cost, whom they harm."""

import asyncio
import json
import re
import select
import socket
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.bus import Bus, Message
from media_pipeline.realtime.sse import ServerSentEvent, encode_frame
from tests.acceptance.process import Service, started
from tests.servers.redis import redis_server

from .buses import process
from .readers import Reader, port_of, stopped

KIB = 1024
LEAST, MOST = 3, 10
"""Rounds: harm shows in each, while the machine does its worst only in some."""


@dataclass
class Ages:
    """How old events were when they came, in milliseconds."""

    ages: list[float] = field(default_factory=list)

    def hear(self, event: ServerSentEvent) -> None:
        if event.event == "stamped":
            self.ages.append((time.perf_counter_ns() - json.loads(event.data)["at"]) / 1e6)

    def take_p99(self) -> float:
        ages, self.ages = sorted(self.ages), []
        return ages[int(len(ages) * 0.99)]


@dataclass(frozen=True)
class Load:
    """What is sent: a little to who reads; too much to half of the others, to half what fills a socket."""

    live: Sequence[UserId]
    deaf: Sequence[UserId]
    seconds: float

    async def send(self, bus: Bus) -> None:
        await asyncio.gather(
            self._tell(bus, self.live, each=20, size=200),
            self._tell(bus, self.deaf[::2], each=60, size=4 * KIB),
            self._tell(bus, self.deaf[1::2], each=36, size=4 * KIB),
        )

    @property
    def for_live(self) -> int:
        return len(self.live) * 20

    @property
    def for_deaf(self) -> int:
        return len(self.deaf[::2]) * 60 + len(self.deaf[1::2]) * 36

    async def _tell(self, bus: Bus, users: Sequence[UserId], *, each: int, size: int) -> None:
        """Send every user `each` events, spread over the time."""
        began = time.perf_counter()
        for number in range(each):
            for place, user in enumerate(users):
                due = began + (number + place / len(users)) / each * self.seconds
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)  # the rate of the load
                await bus.publish(stamped(user, size))


def stamped(user: UserId, size: int) -> Message:
    now = time.perf_counter_ns()
    data = b'{"at":%d,"pad":"%b"}' % (now, b"x" * size)
    return Message(user, JobId("j"), encode_frame("stamped", data), str(now))


@dataclass
class Round:
    """What a round of the load took."""

    p99_ms: float
    cpu: float
    """Seconds of the service's own, from the scheduler: what else the machine does is not in it."""
    kernel: int
    """The most bytes that the kernel held for one reader."""


@dataclass
class Watch:
    """A service under load, looked at from outside."""

    service: Service
    load: Load
    bus: Bus
    ages: Ages

    async def round(self) -> Round:
        """Send the load once."""
        begun, looking = self._cpu(), asyncio.create_task(self._look_into_kernel())
        await self.load.send(self.bus)
        looking.cancel()
        return Round(self.ages.take_p99(), self._cpu() - begun, self._kernel)

    def memory(self) -> int:
        """Return the service's own memory in bytes."""
        rollup = Path(f"/proc/{self.service.process.pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)
        assert found is not None
        return int(found[1]) * KIB

    def _cpu(self) -> float:
        tasks = Path(f"/proc/{self.service.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    async def _look_into_kernel(self) -> None:
        self._kernel = 0
        while True:
            await asyncio.sleep(self.load.seconds / 8)  # a look now and then
            self._kernel = max(self._kernel, kept_in_kernel(port_of(self.service)))


def kept_in_kernel(port: int) -> int:
    """Return the most bytes that the kernel holds for one connection of the server at `port` (Linux)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    queues = [row[4] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"]
    return max(int(queue.partition(":")[0], 16) for queue in queues)


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


@asynccontextmanager
async def watched(folder: Path, load: Load, *, stall: float) -> AsyncIterator[Watch]:
    """Run a service that the live users of `load` read from."""
    ages = Ages()
    readers = [Reader(user, hear=ages.hear) for user in load.live]
    with redis_server() as redis, started(folder, redis_url=redis.url, media_stall_seconds=stall) as service:
        async with process(redis) as worker:
            for reader in readers:
                await reader.open(port_of(service))
            yield Watch(service, load, worker.bus, ages)
            assert not any(reader.lost.is_set() for reader in readers)
            for reader in readers:
                reader.cut()


@dataclass
class Rounds:
    """Rounds of one load without stopped readers, and with them."""

    load: Load
    alone: list[Round] = field(default_factory=list)
    beside: list[Round] = field(default_factory=list)

    @property
    def p99s(self) -> tuple[float, float]:
        """The best of each kind, in milliseconds."""
        first, second = (min(one.p99_ms for one in rounds) for rounds in (self.alone, self.beside))
        return first, second

    @property
    def costs(self) -> tuple[float, float]:
        """Microseconds on a core for an event that is delivered, and for one that is held back."""
        delivered = statistics.median(one.cpu for one in self.alone)
        more = statistics.median(two.cpu - one.cpu for one, two in zip(self.alone, self.beside, strict=True))
        return delivered / self.load.for_live * 1e6, more / self.load.for_deaf * 1e6

    def unharmed(self) -> bool:
        """Tell whether what is held back costs less than what is delivered, and delays nobody."""
        (first, second), (delivered, held) = self.p99s, self.costs
        return held <= delivered and second <= 1.25 * first + 2


async def check_stopped(folder: Path, *, live: int, stop: int, seconds: float, stall: float) -> None:
    """Let rounds with and without stopped readers take turns; their events are published in both."""
    users = [UserId(f"live{number}") for number in range(live)]
    load = Load(users, [UserId(f"stopped{number}") for number in range(stop)], seconds)
    rounds, costs = Rounds(load), list[float]()
    async with watched(folder, load, stall=stall) as watch:
        await watch.round()
        while len(costs) < LEAST or (len(costs) < MOST and not rounds.unharmed()):
            rounds.alone.append(await watch.round())
            before = watch.memory()
            async with stopped(watch.service, load.deaf) as links:
                rounds.beside.append(await watch.round())
                costs.append((watch.memory() - before) / stop + rounds.beside[-1].kernel)
                if len(costs) == 1:
                    await asyncio.to_thread(until_closed, links, seconds=stall + 10)
    print(f"p99 {rounds.p99s} ms, {rounds.costs} µs, after {len(costs)} rounds")  # noqa: T201 - for -rP
    assert all(one.kernel > KIB for one in rounds.beside), "nobody was stopped"
    assert max(costs) <= 256 * KIB, f"stopped readers cost {costs} bytes"
    assert rounds.unharmed(), f"p99 {rounds.p99s} ms, {rounds.costs} µs an event"


async def test_stopped_readers_cost_little_and_harm_nobody(tmp_path: Path) -> None:
    """Ten stopped readers beside forty live ones are bounded and dropped; the live ones notice nothing."""
    await check_stopped(tmp_path, live=40, stop=10, seconds=0.4, stall=1)


@pytest.mark.long
async def test_a_hundred_stopped_readers_cost_little_and_harm_nobody(tmp_path: Path) -> None:
    """100 stopped beside 400 live: 256 KiB each at most, closed within 30 s, live p99 unharmed."""
    await check_stopped(tmp_path, live=400, stop=100, seconds=5, stall=20)
