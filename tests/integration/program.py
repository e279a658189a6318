"""The real program on a real socket, and a small client of it, as the API's tests use them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import secrets
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from PIL import Image

from media_pipeline.app import build_tokens
from media_pipeline.environment import read_settings
from media_pipeline.generation.provider import (
    CancelOutcome,
    ErrorCode,
    GenerationRequest,
    Handle,
    MediaProvider,
    ModelInfo,
    Output,
    ProgressKind,
    ProviderError,
    ProviderEvent,
)
from media_pipeline.ids import UserId
from media_pipeline.program import Program
from media_pipeline.server import Server

DEADLINE = 10.0
"""Seconds after which a test stops waiting for what should have come."""

TERMINAL = {
    f"{family}_{end}" for family in ("generation", "upload", "process") for end in ("complete", "failed")
} | {"job_cancelled"}

Wire = dict[str, Any]
"""A JSON object as it came."""


class LeapingClock:
    """The machine's time, with leaps: whoever sleeps over one wakes."""

    def __init__(self) -> None:
        self._leapt = 0.0
        self._leap = asyncio.Event()

    def now(self) -> float:
        return time.time() + self._leapt

    def monotonic(self) -> float:
        return time.monotonic() + self._leapt

    async def sleep(self, seconds: float) -> None:
        until = self.monotonic() + seconds
        while (left := until - self.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._leap.wait()

    def leap(self, seconds: float) -> None:
        """Let `seconds` be over."""
        self._leapt += seconds
        woken, self._leap = self._leap, asyncio.Event()
        woken.set()


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as a reader of the stream sees it."""

    name: str
    data: Wire
    id: str | None


def parse_frames(text: str) -> list[Frame]:
    """Read whole blocks of an event stream, by the letter of the standard and nothing of ours."""
    frames = []
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
        if "data" in fields:
            frames.append(Frame(fields["event"], json.loads(fields["data"]), fields.get("id")))
    return frames


class Stream:
    """An open event stream; `raw` is everything that came."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.raw = b""
        self.patience = DEADLINE
        self._unread = b""
        self._chunks = response.aiter_raw()
        self._frames: list[Frame] = []

    async def next(self) -> Frame:
        """Return the next event."""
        async with asyncio.timeout(self.patience):
            while not self._frames:
                await self._read(await anext(self._chunks))
        return self._frames.pop(0)

    async def until(self, *names: str) -> list[Frame]:
        """Return the events up to the first that has one of these names."""
        seen = [await self.next()]
        while seen[-1].name not in names:
            seen.append(await self.next())
        return seen

    async def rest(self) -> list[Frame]:
        """Return what comes until the stream ends."""
        async with asyncio.timeout(DEADLINE):
            async for chunk in self._chunks:
                await self._read(chunk)
        frames, self._frames = self._frames, []
        return frames

    async def _read(self, chunk: bytes) -> None:
        self.raw += chunk
        whole, mark, self._unread = (self._unread + chunk).rpartition(b"\n\n")
        self._frames += parse_frames((whole + mark).decode())


class Api:
    """One user of a running service."""

    def __init__(self, http: httpx2.AsyncClient, user: str, token: str) -> None:
        self.http = http
        self.user = user
        self.headers = {"Authorization": f"Bearer {token}"}

    async def ask(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Send a request of this user, with `body` as JSON."""
        kind = {} if body is None else {"Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        return await self.http.request(
            method, path, content=content, headers={**self.headers, **kind, **(headers or {})}
        )

    async def get(self, path: str) -> Wire:
        """Return the JSON at `path`."""
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return read_object(answer)

    async def generate(self, kind: str = "image", /, **body: object) -> str:
        """Ask for media and return the job's id; small and plain unless the body says otherwise."""
        small = {} if {"width", "height", "aspectRatio"} & body.keys() else {"width": 64, "height": 64}
        answer = await self.ask("POST", f"/generate/{kind}", {"prompt": "a lighthouse", **small, **body})
        assert answer.status_code == 202, answer.text
        return str(read_object(answer)["jobId"])

    async def job(self, job_id: str) -> Wire:
        """Return a job as it stands."""
        return await self.get(f"/jobs/{job_id}")

    async def items(self, query: str = "") -> list[Wire]:
        """Return a page of the library."""
        items: list[Wire] = (await self.get(f"/media{query}"))["items"]
        return items

    async def init(self, **body: object) -> Wire:
        """Announce a file."""
        answer = await self.ask("POST", "/media/upload/init", body)
        assert answer.status_code == 200, answer.text
        return read_object(answer)

    async def put(self, permission: Wire, data: bytes | AsyncIterator[bytes]) -> httpx2.Response:
        """PUT bytes to where an `init` allowed it, as a browser would: without a token."""
        return await self.http.put(
            permission["uploadURL"], content=data, headers=permission["headers"], timeout=DEADLINE
        )

    async def complete(self, permission: Wire) -> httpx2.Response:
        """Say that the bytes are there."""
        return await self.ask("POST", "/media/upload/complete", {"objectPath": permission["objectPath"]})

    async def upload(self, data: bytes, *, filename: str = "a.png", content_type: str = "image/png") -> Wire:
        """Bring a file into the library and return what `init` answered."""
        permission = await self.init(filename=filename, contentType=content_type)
        assert (await self.put(permission, data)).status_code == 200
        answer = await self.complete(permission)
        assert answer.status_code == 200, answer.text
        assert (await self.end(permission["jobId"])).name == "upload_complete"
        return permission

    @asynccontextmanager
    async def events(self, query: str = "", *, since: str | None = None) -> AsyncIterator[Stream]:
        """Open the event stream."""
        headers = self.headers if since is None else {**self.headers, "Last-Event-ID": since}
        async with self.http.stream("GET", f"/events{query}", headers=headers) as response:
            assert response.status_code == 200
            yield Stream(response)

    async def end(self, job_id: str) -> Frame:
        """Wait for a job's terminal event."""
        return (await self.history(job_id))[-1]

    async def history(self, job_id: str) -> list[Frame]:
        """Return a job's events up to its terminal one."""
        async with self.events(f"?jobId={job_id}") as stream:
            return [frame for frame in await stream.until(*TERMINAL) if frame.name != "ready"]


@dataclass
class Running:
    """A program that answers requests."""

    program: Program
    http: httpx2.AsyncClient
    stop: asyncio.Event

    def user(self, name: str) -> Api:
        """Return a client with a token of `name`."""
        return Api(self.http, name, build_tokens(self.program.settings).issue(UserId(name)))

    async def objects(self, api: Api) -> list[str]:
        """Return every stored path of a user, also what listings do not show."""
        roots = f"media/{api.user}/", f"derived/{api.user}/"
        return [item.path for root in roots for item in await self.program.store.list(root)]


@asynccontextmanager
async def running(
    *, providers: Sequence[MediaProvider] | None = None, clock: LeapingClock | None = None, **given: object
) -> AsyncIterator[Running]:
    """Run the program in this process on a free port until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        settings = read_settings(port=port, public_url=address, **given)
        program = Program(settings, clock=clock, providers=None if providers is None else [*providers])
        ready = asyncio.Event()
        server = Server(program, on_ready=ready.set)
        serving = asyncio.create_task(server.run_on(listening))
        await _first(ready, serving)
        try:
            async with httpx2.AsyncClient(
                base_url=address,
                trust_env=False,
                timeout=DEADLINE,
                limits=httpx2.Limits(max_connections=100, keepalive_expiry=2),
            ) as http:
                yield Running(program, http, ready)
        finally:
            server.should_exit = True
            await serving


async def _first(ready: asyncio.Event, serving: asyncio.Task[None]) -> None:
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({waiting, serving}, timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        await serving
    assert ready.is_set()


Script = Sequence[ProviderEvent | Exception | asyncio.Event]


@dataclass
class Scripted:
    """A provider whose n-th call plays the n-th script, the last one for ever; an event is waited for.

    A stubborn one goes on waiting when it is cancelled. `over` gets an entry when a call has ended.
    """

    name: str = "one"
    scripts: Sequence[Script] = ()
    stubborn: bool = False
    calls: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    async def models(self) -> Sequence[ModelInfo]:
        return [
            ModelInfo(
                id="still", kind="image", label="Still", progress=ProgressKind.STEPS, n_max=8, seed=True
            )
        ]

    def generate(self, request: GenerationRequest, model: ModelInfo) -> AsyncGenerator[ProviderEvent, None]:
        self.calls += 1
        return self._play(self.scripts[min(self.calls, len(self.scripts)) - 1])

    def resume(
        self, request: GenerationRequest, model: ModelInfo, handle: Handle
    ) -> AsyncGenerator[ProviderEvent, None]:
        return self.generate(request, model)

    async def cancel(self, handle: Handle) -> CancelOutcome:
        return "unsupported"

    async def check(self) -> str:
        return "well"

    async def aclose(self) -> None: ...

    async def _play(self, script: Script) -> AsyncGenerator[ProviderEvent, None]:
        self.began.set()
        try:
            for part in script:
                if isinstance(part, asyncio.Event):
                    await self._wait(part)
                elif isinstance(part, Exception):
                    raise part
                else:
                    yield part
        finally:
            self.over.put_nowait(None)

    async def _wait(self, event: asyncio.Event) -> None:
        try:
            await event.wait()
        except asyncio.CancelledError:
            if not self.stubborn:
                raise
            await event.wait()


def picture(*, side: int = 64, kind: str = "PNG") -> bytes:
    """Return a picture that no other call returns."""
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), secrets.token_bytes(3 * side * side)).save(out, kind)
    return out.getvalue()


def output(index: int = 0) -> Output:
    """Return a provider's result with bytes of its own."""
    return Output(index=index, content_type="image/png", data=picture(), seed=7)


def failing(reason: ErrorCode, *, retry_after: float | None = None) -> ProviderError:
    """Return a provider's failure."""
    return ProviderError(reason, f"It failed: {reason}.", provider="one", retry_after=retry_after)


def read_object(answer: httpx2.Response) -> Wire:
    """Return an answer's JSON object."""
    body = answer.json()
    assert isinstance(body, dict)
    return body


def read_problem(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and code of an error answer, having checked that it is whole."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = read_object(answer)
    assert {"type", "title", "status", "detail", "code"} <= body.keys() <= {*body, "errors"}
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["detail"].endswith(".")
    return answer.status_code, body["code"]
