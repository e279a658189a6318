"""The servers that `bench.realtime` puts beside each other: `python -m bench.realtime_servers NAME`.

Each streams to whoever asks `GET /events` with `Authorization: Bearer USER`, sends one event of the same
240 bytes to everybody on `POST /publish?n=COUNT`, and prints its port. `ours` and `portable` are the whole
program, set up as `serve` does it; peers are so as uvicorn runs them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ClassVar

import hiredis
import uvicorn
import uvloop
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse as FastApiStream
from fastapi.sse import ServerSentEvent as FastApiEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bench.realtime_clients import OURS
from media_pipeline.api.server_protocol import choose_protocol
from media_pipeline.app import create_service
from media_pipeline.environment import read_settings
from media_pipeline.heap import spare_heap
from media_pipeline.ids import JobId, UserId
from media_pipeline.program import Program
from media_pipeline.realtime.bus import Message
from media_pipeline.redis_url import RedisUrl
from media_pipeline.telemetry import configure_logging

DATA = b'{"v":1,"pad":"' + b"x" * 196 + b'"}'
FRAME = b"event: bench\ndata: " + DATA + b"\n\n"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"HTTP/1.1 204 No Content\r\n\r\n"
App = Any
queues: set[asyncio.Queue[None]] = set()
starts: list[Callable[[], Awaitable[None]]] = []


class Bare(asyncio.Protocol):
    """The floor: a socket, and one write for each event."""

    streams: ClassVar[set[asyncio.Transport]] = set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET"):
            self.transport.write(HEAD + b"6\r\n: ok\n\n\r\n")
            self.streams.add(self.transport)
        else:
            chunk = b"%x\r\n%b\r\n" % (len(FRAME), FRAME)
            for _ in range(int(data.partition(b"n=")[2].partition(b" ")[0])):
                for stream in self.streams:
                    stream.write(chunk)
            self.transport.write(DONE)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.streams.discard(self.transport)


class Relay(asyncio.Protocol):
    """The floor of what goes through Redis: a channel a user, and one write for each event."""

    readers: ClassVar[dict[bytes, list[asyncio.Transport]]] = {}
    redis: ClassVar[asyncio.Transport]

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"GET"):
            self.transport.write(DONE)
            return
        user = data.partition(b"Bearer ")[2].partition(b"\r\n")[0]
        if user not in self.readers:
            self.redis.write(hiredis.pack_command(("SUBSCRIBE", user)))  # type: ignore[arg-type] # the stub knows one word only
        self.readers.setdefault(user, []).append(self.transport)
        self.transport.write(HEAD + b"6\r\n: ok\n\n\r\n")


class RelayLink(asyncio.Protocol):
    """The relay's one connection to Redis."""

    def connection_made(self, transport: Any) -> None:
        self.reader = hiredis.Reader()
        Relay.redis = transport
        transport.write(b"HELLO 3\r\n")

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while (said := self.reader.gets()) is not False:
            if isinstance(said, hiredis.PushNotification) and said[0] == b"message":
                frame = b"event: bench\ndata: %b\n\n" % said[2]
                chunk = b"%x\r\n%b\r\n" % (len(frame), frame)
                for reader in Relay.readers[said[1]]:
                    reader.write(chunk)


async def waits() -> AsyncIterator[None]:
    queue: asyncio.Queue[None] = asyncio.Queue()
    queues.add(queue)
    try:
        while True:
            await queue.get()
            yield
    finally:
        queues.discard(queue)


async def fan_out(request: Request) -> Response:
    for _ in range(int(request.query_params["n"])):
        for queue in queues:
            queue.put_nowait(None)
    return Response(status_code=204)


def starlette_app(follow: Callable[[Request], Any]) -> Starlette:
    return Starlette(routes=[Route("/events", follow), Route("/publish", fan_out, methods=["POST"])])


def streaming() -> App:
    async def body() -> AsyncIterator[bytes]:
        yield b": ok\n\n"
        async for _ in waits():
            yield FRAME

    async def follow(_request: Request) -> Response:
        return StreamingResponse(body(), media_type="text/event-stream")

    return starlette_app(follow)


def sse_starlette() -> App:
    from sse_starlette.sse import EventSourceResponse, ServerSentEvent  # noqa: PLC0415 - a peer's own

    async def body() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(comment="ok")
        async for _ in waits():
            yield ServerSentEvent(event="bench", data=DATA.decode())

    async def follow(_request: Request) -> Any:
        return EventSourceResponse(body())

    return starlette_app(follow)


def fastapi() -> App:
    app = FastAPI()

    @app.get("/events", response_class=FastApiStream)
    async def follow() -> AsyncIterator[FastApiEvent]:
        yield FastApiEvent(comment="ok")
        async for _ in waits():
            yield FastApiEvent(event="bench", raw_data=DATA.decode())

    app.add_route("/publish", fan_out, methods=["POST"])
    return app


def broadcaster() -> App:
    from broadcaster import Broadcast  # noqa: PLC0415 - a peer's own
    from sse_starlette.sse import EventSourceResponse, ServerSentEvent  # noqa: PLC0415 - a peer's own

    broadcast = Broadcast(os.environ["REDIS_URL"])

    async def body(user: str) -> AsyncIterator[ServerSentEvent]:
        async with broadcast.subscribe(channel=user) as subscriber:
            yield ServerSentEvent(comment="ok")
            async for event in subscriber:
                yield ServerSentEvent(event="bench", data=event.message)

    async def follow(request: Request) -> Any:
        return EventSourceResponse(body(request.headers["authorization"].removeprefix("Bearer ")))

    app = starlette_app(follow)
    starts.append(broadcast.connect)
    return app


def pubsub() -> App:
    from redis.asyncio import Redis  # noqa: PLC0415 - a peer's own
    from sse_starlette.sse import EventSourceResponse, ServerSentEvent  # noqa: PLC0415 - a peer's own

    redis = Redis.from_url(os.environ["REDIS_URL"], max_connections=100_000)

    async def body(user: str) -> AsyncIterator[ServerSentEvent]:
        async with redis.pubsub() as heard:
            await heard.subscribe(user)
            yield ServerSentEvent(comment="ok")
            async for message in heard.listen():
                if message["type"] == "message":
                    yield ServerSentEvent(event="bench", data=message["data"].decode())

    async def follow(request: Request) -> Any:
        return EventSourceResponse(body(request.headers["authorization"].removeprefix("Bearer ")))

    return starlette_app(follow)


def litestar() -> App:
    from litestar.channels.backends.redis import RedisChannelsPubSubBackend  # noqa: PLC0415 - a peer's own
    from redis.asyncio import Redis  # noqa: PLC0415 - a peer's own

    return _litestar(RedisChannelsPubSubBackend(redis=Redis.from_url(os.environ["REDIS_URL"])))


def litestar_stream() -> App:
    from litestar.channels.backends.redis import RedisChannelsStreamBackend  # noqa: PLC0415 - a peer's own
    from redis.asyncio import Redis  # noqa: PLC0415 - a peer's own

    return _litestar(RedisChannelsStreamBackend(1000, redis=Redis.from_url(os.environ["REDIS_URL"])))


def _litestar(backend: Any) -> App:
    from litestar import Litestar  # noqa: PLC0415 - a peer's own
    from litestar import Request as LitestarRequest  # noqa: PLC0415
    from litestar import get as litestar_get  # noqa: PLC0415
    from litestar import post as litestar_post  # noqa: PLC0415
    from litestar.channels import ChannelsPlugin  # noqa: PLC0415
    from litestar.response import ServerSentEvent, ServerSentEventMessage  # noqa: PLC0415

    channels = ChannelsPlugin(backend, arbitrary_channels_allowed=True)

    async def body(user: str) -> AsyncIterator[Any]:
        async with channels.start_subscription([user]) as subscriber:
            yield ServerSentEventMessage(comment="ok")
            async for event in subscriber.iter_events():
                yield ServerSentEventMessage(event="bench", data=event.decode())

    async def follow(request: Any) -> Any:
        return ServerSentEvent(body(request.headers["authorization"].removeprefix("Bearer ")))

    async def ready() -> None:
        return None

    follow.__annotations__ = {"request": LitestarRequest, "return": ServerSentEvent}
    ready.__annotations__ = {"return": None}
    routes = [litestar_get("/events")(follow), litestar_post("/publish", status_code=204)(ready)]
    app = Litestar(route_handlers=routes, plugins=[channels], logging_config=None)
    starts.append(channels._on_startup)  # noqa: SLF001 - its lifespan, without a server's
    return app


def ours() -> App:
    program = Program(read_settings(media_streams_per_user=10_000), providers=[])
    service = create_service(program)
    starts.append(program.start)

    async def publish(request: Request) -> Response:
        for _ in range(int(request.query_params["n"])):
            await program.bus.publish(Message(UserId("ann"), JobId("job"), FRAME, secrets.token_hex(4)))
        return Response(status_code=204)

    control = Starlette(routes=[Route("/publish", publish, methods=["POST"])])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (control if scope["path"] == "/publish" else service)(scope, receive, send)

    return app


APPS: dict[str, Callable[[], App]] = {
    "streaming": streaming,
    "sse-starlette": sse_starlette,
    "fastapi": fastapi,
    "broadcaster": broadcaster,
    "pubsub": pubsub,
    "litestar": litestar,
    "litestar-stream": litestar_stream,
    "portable": ours,
    "ours": ours,
}


FLOORS: dict[str, Callable[[], asyncio.Protocol]] = {"bare": Bare, "relay": Relay}


async def main(name: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listening.getsockname()[1], flush=True)
    if name in FLOORS:
        loop = asyncio.get_running_loop()
        if name == "relay":
            redis = RedisUrl.parse(os.environ["REDIS_URL"])
            await loop.create_connection(RelayLink, *redis.hosts[0])
        await (await loop.create_server(FLOORS[name], sock=listening)).serve_forever()
    app = APPS[name]()
    for start in starts:
        await start()
    http = choose_protocol() if name == "ours" else "httptools"
    config = uvicorn.Config(app, http=http, log_level="error", access_log=False, lifespan="off", backlog=4096)
    if name in OURS:
        configure_logging("json")
        config.proxy_headers = config.server_header = False
        spare_heap()
    await uvicorn.Server(config).serve([listening])


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
