"""Pushing through an ASGI `send` from outside its task."""

import asyncio
from collections.abc import MutableMapping

import pytest

from media_pipeline.realtime import push
from media_pipeline.realtime.push import AsgiPush

from .doubles import settle


class Server:
    """An ASGI server's `send`: it suspends while `full`, and fails as told."""

    def __init__(self) -> None:
        self.bodies: list[tuple[bytes, bool]] = []
        self.room = asyncio.Event()
        self.room.set()
        self.error: Exception | None = None

    async def send(self, message: MutableMapping[str, object]) -> None:
        while not self.room.is_set():
            await self.room.wait()
        if self.error is not None:
            raise self.error
        assert isinstance(message["body"], bytes)
        self.bodies.append((message["body"], bool(message["more_body"])))


@pytest.fixture
async def server() -> Server:
    return Server()


async def test_a_willing_server_costs_no_task(server: Server) -> None:
    """A write is in the server's hands when `write` returns, and no task was made."""
    tasks = len(asyncio.all_tasks())
    assert AsgiPush(server.send).write(b"a")
    assert server.bodies == [(b"a", True)]
    assert len(asyncio.all_tasks()) == tasks


async def test_a_full_server_asks_to_wait_and_tells_when_it_goes_on(server: Server) -> None:
    """A suspended write returns False; once it is through, `resumed` is called, once."""
    outlet = AsgiPush(server.send)
    calls: list[bool] = []
    outlet.resumed = lambda: calls.append(True)
    server.room.clear()
    assert not outlet.write(b"a")
    await settle()
    assert (server.bodies, calls) == ([], [])
    server.room.set()
    await settle()
    assert (server.bodies, calls) == ([(b"a", True)], [True])
    assert outlet.write(b"b")


async def test_the_end_is_clean_after_what_is_under_way(server: Server) -> None:
    """`end` lets a suspended write finish and then sends the last chunk."""
    outlet = AsgiPush(server.send)
    server.room.clear()
    outlet.write(b"a")
    outlet.end()
    assert outlet.clean is True
    closing = asyncio.create_task(outlet.aclose())
    await settle()
    server.room.set()
    await closing
    assert server.bodies == [(b"a", True), (b"", False)]


async def test_an_end_does_not_wait_for_ever(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that stands still loses its clean end, and nothing runs on."""
    monkeypatch.setattr(push, "LAST_CHUNK_SECONDS", 0.01)
    outlet = AsgiPush(server.send)
    server.room.clear()
    outlet.write(b"a")
    outlet.end()
    await outlet.aclose()
    await settle()
    assert server.bodies == []
    assert len(asyncio.all_tasks()) == 1


async def test_an_abort_sends_nothing_more(server: Server) -> None:
    """After `abort` the suspended write is given up and no last chunk is sent."""
    outlet = AsgiPush(server.send)
    server.room.clear()
    outlet.write(b"a")
    outlet.abort()
    assert outlet.clean is False
    await outlet.aclose()
    server.room.set()
    await settle()
    assert server.bodies == []


@pytest.mark.parametrize("suspended", [False, True])
@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("a bug in the server")])
async def test_a_failing_send_ends_its_own_stream_alone(
    server: Server, error: Exception, *, suspended: bool
) -> None:
    """What `send` raises, at once or after waiting, comes out as the end of the stream."""
    outlet = AsgiPush(server.send)
    server.error = error
    if suspended:
        server.room.clear()
    outlet.write(b"a")
    server.room.set()
    await settle()
    assert outlet.clean is False
    await outlet.aclose()


async def test_the_watch_ends_with_the_stream(server: Server) -> None:
    """Whoever watches the reader is done when the stream ends, and is not cancelled by that."""
    outlet = AsgiPush(server.send)
    watching = asyncio.create_task(outlet.watch(asyncio.Event().wait))  # type: ignore[arg-type] # says nothing
    await settle()
    outlet.end()
    await watching
    assert outlet.clean is True
    outlet.end()
    await settle()


async def test_the_watch_ends_when_the_reader_goes(server: Server) -> None:
    """A reader that leaves ends the stream at once; what it said before is nothing to us."""
    outlet = AsgiPush(server.send)
    heard = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> MutableMapping[str, object]:
        return {**heard.pop(0)}

    await outlet.watch(receive)
    assert (heard, outlet.clean) == ([], False)


async def test_a_watch_can_be_cancelled_also_at_the_end(server: Server) -> None:
    """A server that cancels the request is heard, even in the turn in which the stream ends."""
    outlet = AsgiPush(server.send)
    watching = asyncio.create_task(outlet.watch(asyncio.Event().wait))  # type: ignore[arg-type] # says nothing
    await settle()
    outlet.end()
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


async def test_a_server_whose_send_is_no_coroutine_works(server: Server) -> None:
    """Any awaitable will do, as some servers are not written in Python."""

    def send(message: MutableMapping[str, object]) -> asyncio.Future[None]:
        return asyncio.ensure_future(server.send(message))

    outlet = AsgiPush(send)
    resumed = asyncio.Event()
    outlet.resumed = resumed.set
    assert not outlet.write(b"a")
    await resumed.wait()
    assert server.bodies == [(b"a", True)]
