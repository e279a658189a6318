"""`GET /events` over real sockets: a real server, real readers, real cuts; both ways to write a stream."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI, Request

from media_pipeline.api.auth import Identity, Tokens, identify
from media_pipeline.api.door import StreamDoor
from media_pipeline.api.problems import Problem, install_problems
from media_pipeline.api.routes.events import events_routes
from media_pipeline.api.server_protocol import choose_protocol
from media_pipeline.clock import SystemClock
from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.connection import Connection
from media_pipeline.realtime.events import (
    Event,
    GenerationComplete,
    GenerationProgress,
    GenerationStarted,
    JobQueued,
)
from media_pipeline.realtime.hub import Hub, UnknownJob
from media_pipeline.realtime.memory import MemoryBus
from media_pipeline.realtime.publisher import Publisher
from media_pipeline.realtime.seats import OwnSeats
from media_pipeline.realtime.sse import Decoder, ServerSentEvent

ANN = UserId("ann")
JOB = JobId("job")
REQUEST = b"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann\r\n\r\n"
DONE: Sequence[Event] = (
    JobQueued(job_id=JOB),
    GenerationStarted(job_id=JOB),
    GenerationComplete(job_id=JOB, result={"items": []}),
)


class Server(uvicorn.Server):
    """Ends streams before it waits for connections, as the program's own server must."""

    hub: Hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.hub.aclose()
        await super().shutdown(sockets)


class Names(Tokens):
    """Tokens that are the names themselves."""

    expires_at: float | None = None

    def verify(self, token: str) -> Identity | None:
        return Identity(UserId(token), self.expires_at) if token else None


class WatchedHub(Hub):
    """Tells when a stream has left."""

    def __init__(self, bus: MemoryBus, *, streams_per_user: int = 10, **options: Any) -> None:
        self.left = asyncio.Event()
        super().__init__(bus, OwnSeats(streams_per_user), clock=SystemClock(), **options)

    def _forget(self, connection: Connection, reason: str) -> None:
        super()._forget(connection, reason)
        self.left.set()


@dataclass
class Service:
    """A running service and what a test may reach of it."""

    bus: MemoryBus
    hub: WatchedHub
    publisher: Publisher
    server: Server
    port: int
    stop: Callable[[], Awaitable[None]]
    tokens: Names
    jobs: dict[tuple[UserId, JobId], Sequence[Event]]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def until_streams(self, count: int) -> None:
        """Wait until the hub has let go all but `count` streams."""
        async with asyncio.timeout(5):
            while self.hub.streams > count:
                self.hub.left.clear()
                await self.hub.left.wait()


@asynccontextmanager
async def serving(way: str, **options: Any) -> AsyncIterator[Service]:
    """Serve on a free port; `portable` goes through the framework, `detached` through the door."""
    bus, tokens, app = MemoryBus(clock=SystemClock()), Names("s" * 32), FastAPI()
    hub = WatchedHub(bus, **{"retry_spread": 0, **options})
    install_problems(app)
    listener = socket.create_server(("127.0.0.1", 0))
    jobs: dict[tuple[UserId, JobId], Sequence[Event]] = {}

    async def snapshot(user_id: UserId, job_id: JobId) -> Sequence[Event]:
        try:
            return jobs[user_id, job_id]
        except KeyError:
            raise UnknownJob("There is no such job.") from None

    async def caller(request: Request) -> Identity:
        identity = tokens.verify(request.headers["authorization"].removeprefix("Bearer").strip())
        if identity is None:
            raise Problem(401, "unauthorized", "Send a token.")
        return identity

    app.dependency_overrides[identify] = caller
    app.include_router(events_routes(hub, snapshot=snapshot))
    detached = way == "detached"
    config = uvicorn.Config(
        StreamDoor(app, hub, tokens, snapshot=snapshot) if detached else app,
        http=choose_protocol() if detached else "httptools",
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    server = Server(config)
    server.hub = hub
    running = asyncio.create_task(server.serve(sockets=[listener]))

    async def stop() -> None:
        server.should_exit = True
        await running

    service = Service(bus, hub, Publisher(bus), server, listener.getsockname()[1], stop, tokens, jobs)
    try:
        yield service
    finally:
        await stop()
        await bus.aclose()


@pytest.fixture(params=["portable", "detached"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def service(way: str) -> AsyncIterator[Service]:
    async with serving(way) as running:
        yield running


class Reader:
    """An open stream, event by event."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.decoder = Decoder()
        self._chunks = response.aiter_raw()
        self._events: list[ServerSentEvent] = []

    async def next(self) -> ServerSentEvent:
        async with asyncio.timeout(5):
            while not self._events:
                self._events = self.decoder.feed(await anext(self._chunks))
        return self._events.pop(0)

    async def names(self, count: int) -> list[str]:
        return [(await self.next()).event for _ in range(count)]

    async def rest(self) -> bytes:
        """Read to the clean end of the stream."""
        async with asyncio.timeout(5):
            return b"".join([chunk async for chunk in self._chunks])


@asynccontextmanager
async def reading(
    service: Service, query: str = "", *, user: str = "ann", headers: dict[str, str] | None = None
) -> AsyncIterator[Reader]:
    async with (
        httpx2.AsyncClient(base_url=service.address, timeout=5, trust_env=False) as client,
        client.stream(
            "GET", f"/events{query}", headers={"Authorization": f"Bearer {user}".strip(), **(headers or {})}
        ) as response,
    ):
        yield Reader(response)


async def raw_request(service: Service) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(REQUEST)
    await reader.readuntil(b"event: ready\ndata: {}\n\n\r\n")
    return reader, writer


async def answer(service: Service, query: str = "", *, user: str = "ann") -> httpx2.Response:
    async with reading(service, query, user=user) as reader:
        await reader.response.aread()
        return reader.response


async def test_the_head_is_that_of_a_live_stream(service: Service) -> None:
    """The answer is an uncached, untransformed, unbuffered event stream whose first bytes come at once."""
    async with reading(service) as reader:
        headers = reader.response.headers
        assert reader.response.status_code == 200
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-store, no-transform"
        assert headers["x-accel-buffering"] == "no"
        assert headers["transfer-encoding"] == "chunked"
        assert (await reader.next()).event == "ready"
        assert reader.decoder.retry_ms == 2000


async def test_published_events_arrive_typed_and_live(service: Service) -> None:
    """What is published reaches the stream as the contract writes it; progress carries no position."""
    async with reading(service) as reader:
        ready = await reader.next()
        await service.publisher.publish(ANN, GenerationProgress(job_id=JOB, progress=42.0, message="µ"))
        got = await reader.next()
        assert (got.event, got.id) == ("generation_progress", None)
        assert json.loads(got.data) == {
            "jobId": "job",
            "progress": 42.0,
            "message": "µ",
        }
        await service.publisher.publish(ANN, DONE[2])
        done = await reader.next()
        assert done.id not in {None, ready.id}
        assert json.loads(done.data) == {"jobId": "job", "result": {"items": []}}


@pytest.mark.parametrize("by", ["header", "query", "both"])
async def test_a_reader_comes_back_to_where_it_was(service: Service, by: str) -> None:
    """The position, by header or query, brings what was missed; the header, being newer, wins."""
    async with reading(service) as reader:
        position = (await reader.next()).id
    assert position is not None
    for event in DONE:
        await service.publisher.publish(ANN, event)
    headers = {} if by == "query" else {"Last-Event-ID": position}
    query = {"header": "", "query": f"?lastEventId={position}", "both": "?lastEventId=old:1"}[by]
    async with reading(service, query, headers=headers) as reader:
        assert await reader.names(3) == ["job_queued", "generation_started", "generation_complete"]


@pytest.mark.parametrize("position", ["garbage", "00000000:1-1", "\u00e9".encode().decode("latin-1")])
async def test_a_lost_position_is_answered_by_reset(service: Service, position: str) -> None:
    """A position that cannot resume is a 200 that begins with `reset`."""
    async with reading(service, f"?lastEventId={position}") as reader:
        assert reader.response.status_code == 200
        assert (await reader.next()).event == "reset"


async def test_an_ended_job_is_not_missed(service: Service) -> None:
    """`?jobId=` of a job that ended before the stream opened sends its whole state, then `ready`."""
    service.jobs[ANN, JOB] = DONE
    async with reading(service, "?jobId=job") as reader:
        names = await reader.names(4)
        assert names == ["job_queued", "generation_started", "generation_complete", "ready"]


@pytest.mark.parametrize("query", ["?jobId=nope", "?jobId=job", "?jobId=nope&lastEventId=x:1"])
async def test_a_job_that_is_missing_or_foreign_is_404(service: Service, query: str) -> None:
    """Another user's job answers exactly like one that does not exist, and frees its place."""
    service.jobs[UserId("bob"), JOB] = DONE
    response = await answer(service, query)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "job_not_found"
    await service.until_streams(0)


async def test_without_a_token_there_is_no_stream(service: Service) -> None:
    """No token is a 401 problem and takes no place."""
    response = await answer(service, user="")
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert service.hub.streams == 0


async def test_too_many_streams_are_told_when_to_come_back(way: str) -> None:
    """Over the limit is a 429 problem with `Retry-After`; a stream that ends makes room."""
    async with serving(way, streams_per_user=1) as service:
        async with reading(service) as reader:
            await reader.next()
            response = await answer(service)
            assert (response.status_code, response.json()["code"]) == (429, "too_many_streams")
            assert int(response.headers["retry-after"]) >= 1
        await service.until_streams(0)
        async with reading(service) as reader:
            assert (await reader.next()).event == "ready"


@pytest.mark.parametrize("reset", [False, True])
async def test_a_reader_who_leaves_frees_the_stream_at_once(service: Service, *, reset: bool) -> None:
    """Closing or resetting the socket ends the stream on the server without waiting for a ping."""
    _, writer = await raw_request(service)
    assert service.hub.streams == 1
    if reset:
        writer.transport.abort()
    else:
        writer.close()
    await service.until_streams(0)
    await service.publisher.publish(ANN, DONE[0])


async def test_pings_keep_a_silent_stream_alive(way: str) -> None:
    """Comments come at the interval, and no events with them."""
    async with serving(way, ping_seconds=0.05) as service:
        reader, writer = await raw_request(service)
        async with asyncio.timeout(5):
            assert await reader.readuntil(b":\n\r\n") == b"2\r\n:\n\r\n"
        writer.close()


async def test_a_stream_ends_with_its_token(way: str) -> None:
    """At the token's expiry the stream ends with a clean last chunk."""
    async with serving(way, ping_seconds=0.1) as service:
        service.tokens.expires_at = time.time() + 0.2
        async with reading(service) as reader:
            await reader.rest()
        await service.until_streams(0)


async def test_a_reader_who_stands_still_is_dropped_and_harms_nobody(way: str) -> None:
    """A stalled socket is closed after the stall time while its neighbour gets every event."""
    async with serving(way, stall_seconds=0.2, max_backlog_bytes=1 << 30) as service:
        stalled = socket.create_connection(("127.0.0.1", service.port))
        stalled.sendall(REQUEST)
        great = GenerationProgress(job_id=JOB, progress=None, message="x" * 500_000)
        async with reading(service) as reader:
            await reader.next()
            async with asyncio.timeout(10):
                while service.hub.streams == 2:
                    await service.publisher.publish(ANN, great)
                    assert (await reader.next()).event == "generation_progress"
        stalled.close()


async def test_stopping_ends_every_stream_cleanly_and_soon(way: str) -> None:
    """A server that stops with open streams says each a clean last chunk and is gone within two seconds."""
    async with serving(way) as service:
        streams = [await raw_request(service) for _ in range(8)]
        begin = time.monotonic()
        await service.stop()
        assert time.monotonic() - begin < 2
        for reader, writer in streams:
            assert (await reader.read()).endswith(b"0\r\n\r\n")
            writer.close()


async def test_a_stopping_service_asks_to_come_back(service: Service) -> None:
    """A stream asked for while streams are being ended is a retryable 503."""
    await service.hub.aclose()
    response = await answer(service)
    assert (response.status_code, response.json()["code"]) == (503, "bus_unavailable")
    assert int(response.headers["retry-after"]) >= 1


async def test_a_bus_that_is_out_ends_the_stream_cleanly(service: Service) -> None:
    """Without the bus a stream begins and ends at once, so that every reader comes back by itself."""
    await service.bus.aclose()
    async with reading(service) as reader:
        assert reader.response.status_code == 200
        assert await reader.rest() == b": ok\nretry: 2000\n"
    service.jobs[ANN, JOB] = DONE
    assert (await answer(service, "?jobId=job")).status_code == 503
    await service.until_streams(0)


async def test_the_route_is_documented(service: Service) -> None:
    """OpenAPI names the parameters, the stream's type and the errors."""
    async with httpx2.AsyncClient(base_url=service.address, trust_env=False) as client:
        operation = (await client.get("/openapi.json")).json()["paths"]["/events"]["get"]
    assert {item["name"] for item in operation["parameters"]} == {"jobId", "lastEventId", "Last-Event-ID"}
    assert list(operation["responses"]["200"]["content"]) == ["text/event-stream"]
    for status in ("401", "404", "429"):
        assert "application/problem+json" in operation["responses"][status]["content"]
