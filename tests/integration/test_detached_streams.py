"""Connections that uvicorn gives away: by the letter of HTTP, on both loops, and when they are not."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import pytest
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from media_pipeline.api.auth import Tokens
from media_pipeline.api.detached import SEND_BUFFER, Detached
from media_pipeline.api.door import StreamDoor
from media_pipeline.api.server_protocol import DetachingProtocol, choose_protocol
from media_pipeline.clock import SystemClock
from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.events import Event, JobQueued
from media_pipeline.realtime.memory import MemoryBus
from media_pipeline.realtime.publisher import Publisher

from .test_events_http import WatchedHub

ANN = UserId("ann")
TOKENS = Tokens("s" * 32)
LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]


def request(*lines: str, version: str = "1.1", path: str = "/events", method: str = "GET") -> bytes:
    head = (f"{method} {path} HTTP/{version}", "Host: x", f"Authorization: Bearer {TOKENS.issue(ANN)}")
    return "\r\n".join((*head, *lines, "", "")).encode()


class Service:
    """A uvicorn with the class of ours, the door, and behind it an application that answers 418."""

    def __init__(self) -> None:
        self.bus = MemoryBus(clock=SystemClock())
        self.hub = WatchedHub(self.bus)
        self.publisher = Publisher(self.bus)
        door = StreamDoor(self._refuse, self.hub, TOKENS, snapshot=self._snapshot)
        self.config = uvicorn.Config(door, http=choose_protocol(), log_config=None, lifespan="off")
        self.server = uvicorn.Server(self.config)

    @property
    def streams(self) -> list[Detached]:
        return [it for it in self.server.server_state.connections if isinstance(it, Detached)]

    async def _snapshot(self, _user: UserId, _job: JobId) -> Sequence[Event]:
        raise AssertionError("a plain stream needs no snapshot")

    async def _refuse(self, scope: object, receive: object, send: Callable[..., object]) -> None:
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 418, "headers": headers})  # type: ignore[misc] # an ASGI application
        await send({"type": "http.response.body"})  # type: ignore[misc] # as above


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Service, Callable[..., "asyncio.Future[Link]"]]]:
    service, listening = Service(), socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(service.server.serve(sockets=[listening]))
    address = listening.getsockname()
    links: list[Link] = []

    async def ask(data: bytes) -> Link:
        link = Link(*await asyncio.open_connection(*address, limit=1 << 24))
        links.append(link)
        link.writer.write(data)
        return link

    try:
        yield service, lambda data: asyncio.ensure_future(ask(data))
    finally:
        for link in links:
            link.writer.close()
        await service.hub.aclose()
        service.server.should_exit = True
        await running


class Link:
    """A client's side of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readuntil(mark)

    async def rest(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.read()


READY = b"event: ready\ndata: {}\n\n\r\n"
"""The end of the chunk that a stream begins with."""


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_nothing_of_the_request_stays(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """An open stream has no task, bounded kernel memory, gets events and a clean end, on either loop."""

    async def check() -> None:
        async with serving() as (service, ask):
            link = await ask(request())
            head, _, body = (await link.until(READY)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
            assert head.endswith(b"connection: close\r\ntransfer-encoding: chunked")
            size, _, begin = body.partition(b"\r\n")
            assert int(size, 16) == len(begin) - 2
            assert not service.server.server_state.tasks
            (stream,) = service.streams
            kernel = stream._transport.get_extra_info("socket")
            assert kernel.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * SEND_BUFFER
            await service.publisher.publish(ANN, JobQueued(job_id=JobId("j")))
            assert b"job_queued" in await link.until(b"\n\n\r\n")
            await service.hub.aclose()
            assert await link.rest() == b"0\r\n\r\n"
            assert not service.streams

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(check())


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_nothing_of_the_request_waits_for_the_collector(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """What a request took is free when its stream has begun: thousands that come at once are no garbage."""

    async def check() -> None:
        before = count_requests()
        async with serving() as (_, ask):
            await (await ask(request())).until(READY)
            assert count_requests() <= before

    with collecting_nothing(), asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(check())


def count_requests() -> int:
    """Return how many requests are in memory, those that other tests hold among them."""
    return sum(type(it) is RequestResponseCycle for it in gc.get_objects())


@contextmanager
def collecting_nothing() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_a_reader_who_stands_still_is_noticed(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """The hub is told within its own bounds, not after megabytes, and goes on when bytes are taken again."""

    async def check() -> None:
        async with serving() as (service, ask):
            link = await ask(request())
            await link.until(READY)
            link.reader._transport.pause_reading()  # type: ignore[attr-defined] # the client's own
            (stream,) = service.streams
            sent = 0
            while not stream._paused:
                sent += 1
                await service.publisher.publish(ANN, JobQueued(job_id=JobId(f"{sent:-^20000}")))
                await asyncio.sleep(0)
            assert service.hub.streams == 1
            link.reader._transport.resume_reading()  # type: ignore[attr-defined] # the client's own
            await service.publisher.publish(ANN, JobQueued(job_id=JobId("the last")))
            assert (await link.until(b'"the last"}\n\n\r\n')).count(b"event: job_queued") == sent + 1

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(check())


async def test_a_connection_that_was_used_before_is_given_away_too() -> None:
    """After another request on the same connection a stream works as on a fresh one."""
    async with serving() as (service, ask):
        link = await ask(request(path="/other"))
        assert b"418" in await link.until(b"\r\n\r\n")
        link.writer.write(request())
        await link.until(READY)
        assert len(service.streams) == 1


async def test_an_old_client_reads_until_the_connection_ends() -> None:
    """HTTP/1.0 gets no chunks, and the end of the connection for an end."""
    async with serving() as (service, ask):
        link = await ask(request(version="1.0"))
        head, _, body = (await link.until(READY[:-2])).partition(b"\r\n\r\n")
        assert b"chunked" not in head
        assert body.startswith(b": ok\n")
        await service.hub.aclose()
        assert await link.rest() == b""


@pytest.mark.parametrize("together", [True, False])
async def test_whoever_says_more_is_refused(*, together: bool) -> None:
    """A second request behind the stream's ends it cleanly, also when both came in one piece."""
    async with serving() as (service, ask):
        link = await ask(request() + request(path="/other") * together)
        if not together:
            await link.until(READY)
            link.writer.write(request(path="/other"))
        assert (await link.rest()).endswith(b"0\r\n\r\n")
        assert (service.hub.streams, service.streams) == (0, [])


async def test_a_request_with_a_body_streams_too() -> None:
    """A body that is there already does not matter; one that is still to come keeps the portable way."""
    async with serving() as (service, ask):
        await (await ask(request("Content-Length: 2") + b"{}")).until(READY)
        assert len(service.streams) == 1
        link = await ask(request("Content-Length: 2"))
        await link.until(b"event: ready\ndata: {}\n\n")
        link.writer.write(b"{}")
        await service.publisher.publish(ANN, JobQueued(job_id=JobId("j")))
        assert b"job_queued" in await link.until(b"\n\n\r\n")
        assert (len(service.streams), service.hub.streams) == (1, 2)


@pytest.mark.parametrize("leave", ["close", "abort"])
async def test_a_reader_who_leaves_is_forgotten(leave: str) -> None:
    """The stream is gone from the hub and from the server's connections."""
    async with serving() as (service, ask):
        link = await ask(request())
        await link.until(READY)
        getattr(link.writer if leave == "close" else link.writer.transport, leave)()
        async with asyncio.timeout(5):
            await service.hub.left.wait()
        assert (service.hub.streams, service.streams) == (0, [])


async def test_a_refused_stream_stays_with_the_application() -> None:
    """A limit reached is answered behind the door, on a connection that lives on."""
    async with serving() as (service, ask):
        service.hub._max_streams = 0
        link = await ask(request())
        assert b"418" in await link.until(b"\r\n\r\n")
        link.writer.write(request(path="/other"))
        assert b"418" in await link.until(b"\r\n\r\n")


def test_the_installed_release_is_one_that_is_known() -> None:
    """The locked uvicorn gets the class of ours: an upgrade has to come with a look at what that reaches."""
    assert choose_protocol() is DetachingProtocol


@pytest.mark.parametrize("version", ["0.53.9", "0.55.0", "1.0"])
def test_another_release_keeps_its_own_class(version: str) -> None:
    """What is not known is not touched: streams take the portable way."""
    assert choose_protocol(version) == "auto"
