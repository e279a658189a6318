"""Redis dies, comes back empty, or falls silent: whoever watches knows every end all the same."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import pytest

from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import Bus, BusError, Message, Opening, Position
from tests.conformance.bus.recorder import ANN, Recorder, listen, state
from tests.servers.redis import RedisServer, redis_server

from .buses import process
from .test_redis_links import publish


class Watcher:
    """A client as the contract wants it: on `reset` it reads the snapshot, else it believes events."""

    def __init__(self, committed: set[str]) -> None:
        self.committed = committed
        self.known: set[str] = set()
        self.twice: list[str] = []
        self.resets = 0
        self._since_reset: set[str] = set()
        self._changed = asyncio.Event()

    def open(self, opening: Opening, position: Position, missed: Sequence[Message]) -> None:
        if opening is Opening.RESET:
            self.resets += 1
            self._since_reset.clear()
        if opening is not Opening.RESUMED:
            self.known |= self.committed
        for message in missed:
            self.receive(message)
        self._changed.set()

    def receive(self, message: Message) -> None:
        assert message.key is not None
        if message.key in self._since_reset:
            self.twice.append(message.key)
        self._since_reset.add(message.key)
        self.known.add(message.key)
        self._changed.set()

    async def until_known(self, keys: set[str]) -> None:
        while not keys <= self.known:
            self._changed.clear()
            await self._changed.wait()


class Work:
    """Jobs that end: each end is committed, then told until that succeeds."""

    def __init__(self, bus: Bus, user: UserId, committed: set[str]) -> None:
        self._bus = bus
        self._user = user
        self._committed = committed
        self.amid = asyncio.Event()

    async def end(self, jobs: int) -> None:
        for number in range(jobs):
            key = f"{self._user}/{number}"
            self._committed.add(key)
            await publish(self._bus, self._user, key)
            if number == jobs // 2:
                self.amid.set()


async def check_outage(
    outage: Callable[[RedisServer], Awaitable[None]], *, jobs: int, watchers: int, resets: int
) -> None:
    """Let `outage` happen amid ten users' jobs, watched from two processes."""
    with redis_server() as server:
        async with process(server, patience=0.3) as worker, process(server) as one, process(server) as two:
            committed: dict[UserId, set[str]] = {UserId(f"u{number}"): set() for number in range(10)}
            watching = [
                await watch(bus, user, done)
                for _ in range(watchers // 20)
                for bus in (one.bus, two.bus)
                for user, done in committed.items()
            ]
            work = [Work(worker.bus, user, done) for user, done in committed.items()]
            ending = [asyncio.create_task(part.end(jobs // 10)) for part in work]
            await work[0].amid.wait()
            await outage(server)
            assert not all(task.done() for task in ending), "the outage came too late to matter"
            async with asyncio.timeout(5):
                await asyncio.gather(*ending)
                for watcher in watching:
                    await watcher.until_known(watcher.committed)
            assert {watcher.resets for watcher in watching} == {resets}
            assert not any(watcher.twice for watcher in watching)


async def watch(bus: Bus, user: UserId, committed: set[str]) -> Watcher:
    watcher = Watcher(committed)
    await bus.subscribe(user, watcher)
    return watcher


async def lose_everything(server: RedisServer) -> None:
    server.kill()
    server.start()


async def fall_silent(server: RedisServer, *, seconds: float) -> None:
    server.freeze()
    await asyncio.sleep(seconds)  # the outage itself, not a wait for something
    server.thaw()


async def test_a_server_back_empty_is_told_and_no_end_is_lost() -> None:
    """After a kill amid publishing every watcher is told `reset`, once, and knows each end."""
    await check_outage(lose_everything, jobs=200, watchers=20, resets=1)


async def test_a_server_that_was_away_loses_nothing() -> None:
    """After a second of silence amid publishing every watcher knows each end, without a reset."""
    await check_outage(partial(fall_silent, seconds=1), jobs=200, watchers=20, resets=0)


@pytest.mark.long
async def test_a_thousand_jobs_survive_an_empty_server() -> None:
    """1,000 jobs, 50 watchers on two processes: within 5 s of healing each knows each end, nothing twice."""
    await check_outage(lose_everything, jobs=1000, watchers=60, resets=1)


@pytest.mark.long
async def test_a_thousand_jobs_survive_half_a_minute_of_silence() -> None:
    """The same when the server answers nothing for 30 seconds, and then everything is still there."""
    await check_outage(partial(fall_silent, seconds=30), jobs=1000, watchers=60, resets=0)


async def test_a_reset_comes_soon_after_the_server() -> None:
    """A watcher is told within half a second of the server's return."""
    with redis_server() as server:
        async with process(server) as service:
            seen, _ = await listen(service.bus)
            server.kill()
            server.start()
            async with asyncio.timeout(0.5):
                await service.until_relinked()
                await listen(service.bus)
            assert seen.openings == [Opening.READY, Opening.RESET]


async def test_a_silent_server_is_given_up_and_nothing_is_lost() -> None:
    """A server that answers nothing while links stay open is noticed; what comes after it heals arrives."""
    with redis_server() as server:
        async with process(server, patience=0.5) as worker, process(server) as service:
            seen, _ = await listen(service.bus)
            await worker.bus.publish(state("before"))
            await seen.until("before")
            server.freeze()
            with pytest.raises(BusError):
                await worker.bus.publish(state("amid"))
            assert service.line.link is None or service.line.link.lost.done()
            server.thaw()
            await publish(worker.bus, ANN, "amid")
            await publish(worker.bus, ANN, "after")
            await seen.until("after")
            assert seen.keys == ["before", "amid", "after"]


async def test_without_a_server_everybody_is_told_in_time() -> None:
    """Publishing and subscribing are retryable errors within the bus's patience, and work once it is back."""
    with redis_server() as server:
        async with process(server, patience=0.2) as only:
            server.kill()
            for act in (only.bus.publish(state("a")), only.bus.subscribe(ANN, Recorder())):
                async with asyncio.timeout(1):
                    with pytest.raises(BusError, match="Redis"):
                        await act
            server.start()
            await publish(only.bus, ANN, "a")
            _, subscription = await listen(only.bus)
            subscription.close()


async def test_an_outage_that_lasts_holds_up_nobody_again() -> None:
    """Once the patience is over, publishing fails at once for as long as Redis is away."""
    with redis_server() as server:
        async with process(server, patience=0.1) as only:
            server.kill()
            for _ in range(2):
                with pytest.raises(BusError):
                    await only.bus.publish(state("a"))
            async with asyncio.timeout(0.1):
                for _ in range(50):
                    with pytest.raises(BusError):
                        await only.bus.publish(state("a"))


async def test_a_flushed_script_cache_heals() -> None:
    """A server that forgot our scripts is linked anew, and the call goes through."""
    with redis_server() as server:
        async with process(server) as only:
            seen, _ = await listen(only.bus)
            server.ask("SCRIPT", "FLUSH")
            await only.bus.publish(state("a"))
            await seen.until("a")
            assert seen.openings == [Opening.READY, Opening.RESUMED]


async def test_an_evicted_history_is_a_new_epoch() -> None:
    """Where the server threw a history away, its old positions are a reset and live readers go on."""
    with redis_server() as server:
        async with process(server) as only:
            seen, _ = await listen(only.bus)
            await only.bus.publish(state("a"))
            await seen.until("a")
            server.ask("FLUSHALL")
            await only.bus.publish(state("b"))
            await seen.until("b")
            again, _ = await listen(only.bus, since=seen.positions[0])
            assert again.openings == [Opening.RESET]
            assert seen.openings == [Opening.READY]


async def test_a_lost_message_is_noticed_by_its_number() -> None:
    """A change that was kept and never told is found when the next one comes."""
    with redis_server() as server:
        async with process(server) as only:
            seen, _ = await listen(only.bus)
            await only.bus.publish(state("a"))
            await seen.until("a")
            epoch, _, number = seen.positions[-1].partition(":")
            names = server.ask("KEYS", "*history*")
            assert isinstance(names, list)
            entry = ("h", '["x","x",null,false]', "f", 'event: happened\ndata: "x"\n\n')
            server.ask("XADD", names[0], f"{epoch}-{int(number) + 1}", *entry)
            await only.bus.publish(state("b"))
            await seen.until("b")
            assert seen.keys == ["a", "x", "b"]
