"""The servers that `bench.realtime` puts beside each other: `python -m bench.realtime_servers NAME`.

Each streams to whoever asks `GET /events` with `Authorization: Bearer USER`, sends one event of the same
240 bytes to everybody on `POST /publish?n=COUNT`, and prints its port. `ours` is the whole program.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ClassVar

import uvicorn
import uvloop
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse as FastApiStream
from fastapi.sse import ServerSentEvent as FastApiEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from media_pipeline.app import create_service
from media_pipeline.ids import JobId, UserId
from media_pipeline.program import Program
from media_pipeline.realtime.bus import Message
from media_pipeline.settings import read_settings

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
    "ours": ours,
}


async def main(name: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listening.getsockname()[1], flush=True)
    if name == "bare":
        server = await asyncio.get_running_loop().create_server(Bare, sock=listening)
        await server.serve_forever()
    app = APPS[name]()
    for start in starts:
        await start()
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", backlog=4096)
    await uvicorn.Server(config).serve([listening])


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
