"""The door for event streams: what it takes, what it leaves to the application, and that both agree."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from media_pipeline.api.auth import Tokens
from media_pipeline.api.door import StreamDoor
from media_pipeline.app import create_app, create_service
from media_pipeline.clock import SystemClock
from media_pipeline.environment import read_settings
from media_pipeline.ids import JobId, UserId
from media_pipeline.program import Program
from media_pipeline.realtime.events import Event
from media_pipeline.realtime.hub import Hub
from media_pipeline.realtime.memory import MemoryBus
from media_pipeline.realtime.seats import OwnSeats
from media_pipeline.realtime.sse import Decoder, ServerSentEvent

SECRET = "s" * 32
PAGE = "https://page.test"
ANN = f"Bearer {Tokens(SECRET).issue(UserId('ann'))}"


@dataclass
class Reader:
    """One request, driven without a server."""

    headers: dict[str, str] = field(default_factory=lambda: {"authorization": ANN})
    query: str = ""
    path: str = "/events"
    method: str = "GET"
    sent: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def scope(self) -> dict[str, Any]:
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        about = {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
            "server": ("x", 80),
        }
        request = {"path": self.path, "raw_path": self.path.encode(), "method": self.method}
        return {**about, **request, "query_string": self.query.encode(), "headers": headers}

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.put_nowait(dict(message))

    async def ask(self, app: Any) -> dict[str, Any]:
        """Return the start of the answer, and leave."""
        running = asyncio.create_task(app(self.scope, self.receive, self.send))
        start = await asyncio.wait_for(self.sent.get(), 5)
        self.gone.set()
        await running
        return start

    async def first_event(self, app: Any) -> ServerSentEvent:
        running = asyncio.create_task(app(self.scope, self.receive, self.send))
        decoder, events = Decoder(), list[ServerSentEvent]()
        while not events:
            events = decoder.feed((await asyncio.wait_for(self.sent.get(), 5)).get("body", b""))
        self.gone.set()
        await running
        return events[0]


class Application:
    """What stands behind the door; answers 418."""

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub(MemoryBus(clock=SystemClock()), OwnSeats(1), clock=SystemClock())
    yield hub
    await hub.aclose()


@pytest.fixture
def door(hub: Hub) -> StreamDoor:
    return StreamDoor(Application(), hub, Tokens(SECRET), snapshot=forbidden)


async def forbidden(_user: UserId, _job: JobId) -> Sequence[Event]:
    raise AssertionError("a plain stream needs no snapshot")


async def test_a_plain_stream_is_opened_at_the_door(door: StreamDoor, hub: Hub) -> None:
    """A valid token and nothing special: the stream begins, and leaves nothing when its reader goes."""
    assert (await Reader().first_event(door)).event == "ready"
    assert hub.streams == 0


@pytest.mark.parametrize(
    "reader",
    [
        Reader(headers={}),
        Reader(headers={"authorization": "Bearer x"}),
        Reader(headers={"authorization": "Bearer \xff"}),
        Reader(headers={"authorization": ANN.removeprefix("Bearer ")}),
        Reader(headers={"authorization": ANN.replace("Bearer", "Basic")}),
        Reader(headers={"authorization": ANN, "origin": "https://x"}),
        Reader(query="jobId=1"),
        Reader(query="anything=1"),
        Reader(path="/events/"),
        Reader(path="/jobs"),
        Reader(method="POST"),
        Reader(method="HEAD"),
    ],
    ids=lambda reader: f"{reader.method} {reader.path}?{reader.query} {list(reader.headers)}",
)
async def test_everything_else_is_the_applications(door: StreamDoor, reader: Reader) -> None:
    """No token, a wrong one, another origin, one job, another path or method: the application answers."""
    assert (await reader.ask(door))["status"] == 418


async def test_a_stream_too_many_is_refused_by_the_application(door: StreamDoor, hub: Hub) -> None:
    """Over the limit, and while stopping, the refusal is the application's."""
    first = Reader()
    running = asyncio.create_task(door(first.scope, first.receive, first.send))
    await first.sent.get()
    assert (await Reader().ask(door))["status"] == 418
    first.gone.set()
    await running
    await hub.aclose()
    assert (await Reader().ask(door))["status"] == 418


@pytest.mark.parametrize(
    ("headers", "query"),
    [({"last-event-id": "x:1"}, ""), ({}, "lastEventId=x%3A1"), ({"last-event-id": "\xff"}, "lastEventId=")],
)
async def test_a_position_is_taken_from_header_or_query(
    door: StreamDoor, headers: dict[str, str], query: str
) -> None:
    """A position that nobody gave is a `reset`, wherever it stands."""
    reader = Reader(headers={"authorization": ANN, **headers}, query=query)
    assert (await reader.first_event(door)).event == "reset"


async def test_both_ways_give_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Status and headers of a stream, and of a refusal, do not tell which way it took."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    program = Program(read_settings(auth_jwt_secret=SECRET, cors_origins=PAGE), providers=[])
    await program.start()
    service, app = create_service(program), create_app(program)
    for token in ({"authorization": ANN}, {"authorization": "Bearer x"}, {}):
        for page in ({}, {"origin": PAGE}, {"origin": "https://stranger.test"}):
            short, long = Reader(headers=token | page), Reader(headers=token | page)
            assert comparable(await short.ask(service)) == comparable(await long.ask(app))
    await program.stop()


def comparable(start: dict[str, Any]) -> dict[str, Any]:
    return {**start, "headers": sorted((name.lower(), value) for name, value in start["headers"])}


async def test_a_page_of_a_named_origin_is_served_at_the_door(hub: Hub) -> None:
    """A page of another origin that may call the API opens its streams the short way."""
    door = StreamDoor(Application(), hub, Tokens(SECRET), snapshot=forbidden, origins=[PAGE])
    start = await Reader(headers={"authorization": ANN, "origin": PAGE}).ask(door)
    assert start["status"] == 200
    assert (b"access-control-allow-origin", PAGE.encode()) in start["headers"]
