"""A small HTTP/1.1 server in a thread, for fakes of providers: real wire, wilful faults.

A fake subclasses `Web` and says in `answer` what a request gets. A test arms faults by the place where they
strike, reads `requests`, and waits for what arrives with `arrived`. Nothing of the program is imported here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import responses
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

PATIENCE: Final = 20.0
UPGRADE: Final = 101
HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


class Gate:
    """Holds an answer back until it is opened, from any thread."""

    def __init__(self) -> None:
        self._opened = threading.Event()

    def open(self) -> None:
        """Let everything that waits here go on."""
        self._opened.set()

    async def passed(self) -> None:
        """Wait until it is open; the fake's own side."""
        assert await asyncio.to_thread(self._opened.wait, PATIENCE)


@dataclass(frozen=True)
class Request:
    """One request as it came; `path` is unquoted, header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What a request gets. `body` in parts is sent chunked, a `Gate` in it or in `gate` waits.

    `cut` closes the connection after so many bytes of the body; `lost` does so before the status line.
    """

    status: int = 200
    body: bytes | Sequence[bytes | Gate] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    gate: Gate | None = None
    cut: int | None = None
    lost: bool = False


def as_json(value: object, status: int = 200, **headers: str) -> Answer:
    """Answer with JSON; `retry_after="1"` becomes a header."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"content-type": "application/json", **named})


@dataclass(frozen=True)
class Fault:
    """Instead of an answer, `answer`; or the true one bent: `bend`, so that the request has its effect."""

    answer: Answer | None = None
    bend: Callable[[Answer], Answer] | None = None


HTML_PAGE: Final = Fault(Answer(502, HTML, {"content-type": "text/html"}))
MALFORMED: Final = Fault(bend=lambda true: replace(true, body=b'{"id": "half'))
"""The request is done, its answer is no JSON."""
CUT: Final = Fault(bend=lambda true: replace(true, cut=5))
"""The request is done, the connection breaks in the answer."""
LOST: Final = Fault(bend=lambda true: replace(true, lost=True))
"""The request is done, the connection closes without an answer."""


def held(gate: Gate) -> Fault:
    """The request is done, the answer waits at `gate`."""
    return Fault(bend=lambda true: replace(true, gate=gate))


class Web:
    """A server on a free port of loopback; use `served`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.url = ""
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def answer(self, request: Request) -> Answer:
        """Return what the real service would; `place` decides which faults strike."""
        raise NotImplementedError

    async def converse(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take over a connection whose answer was 101, which is not sent."""
        raise NotImplementedError

    def place(self, request: Request) -> str:
        """Name the kind of a request: submit, poll, result, cancel."""
        raise NotImplementedError

    def arm(self, place: str, *faults: Fault) -> None:
        """Let the next requests at `place` meet these faults, one each."""
        self._faults[place].extend(faults)

    def count(self, place: str) -> int:
        """Return how many requests came to `place`."""
        return sum(self.place(request) == place for request in list(self.requests))

    async def arrived(self, place: str, count: int = 1) -> None:
        """Wait until `count` requests have come to `place`."""

        def wait() -> None:
            with self._news:
                assert self._news.wait_for(lambda: self.count(place) >= count, PATIENCE), place

        await asyncio.to_thread(wait)

    @classmethod
    @contextmanager
    def served(cls, *arguments: Any) -> Iterator[Self]:
        """Serve until the block ends."""
        server = cls(*arguments)
        server._thread.start()
        assert server._ready.wait(PATIENCE)
        try:
            yield server
        finally:
            server._loop.call_soon_threadsafe(server._loop.stop)
            server._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        serving = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{serving.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        serving.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)
        self._loop.run_until_complete(asyncio.sleep(0))  # what was aborted closes in the next turn
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while (request := await _read(reader)) is not None:
                with self._news:
                    self.requests.append(request)
                    answer = self._faulted(request)
                    self._news.notify_all()
                if answer.status == UPGRADE:
                    await self.converse(request, reader, writer)
                    break
                if answer.gate:
                    await answer.gate.passed()
                if answer.lost or not await _write(writer, answer):
                    break
        writer.transport.abort()

    def _faulted(self, request: Request) -> Answer:
        waiting = self._faults[self.place(request)]
        if not waiting:
            return self.answer(request)
        fault = waiting.popleft()
        if fault.answer is not None:
            return fault.answer
        true = self.answer(request)
        return fault.bend(true) if fault.bend else true


async def _read(reader: asyncio.StreamReader) -> Request | None:
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode().split()
    headers: dict[str, str] = {}
    while (header := (await reader.readline()).decode().strip()) != "":
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return Request(method, unquote(parts.path), query, headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


async def _write(writer: asyncio.StreamWriter, answer: Answer) -> bool:
    """Send an answer; tell whether the connection may go on."""
    whole = isinstance(answer.body, bytes)
    length = f"content-length: {len(answer.body)}" if whole else "transfer-encoding: chunked"
    lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Odd')}", length]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    if isinstance(answer.body, bytes):
        writer.write(answer.body[: answer.cut])
        await writer.drain()
        return answer.cut is None
    for part in answer.body:
        if isinstance(part, Gate):
            await part.passed()
            continue
        writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        await writer.drain()
    if answer.cut is None:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    return answer.cut is None
