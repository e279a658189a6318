"""Clients that know nothing of us follow a job on the real service: browsers, npm, Python, curl."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import aconnect_sse

from media_pipeline.api.auth import Tokens
from media_pipeline.ids import UserId
from tests.acceptance.process import SECRET, Service, started

WEB = Path(__file__).parents[2] / "web"
CLIENTS = WEB / "e2e" / "clients"
WITHIN = 30
Event = dict[str, Any]
"""`event`, `data` and `id`, as the client understood them."""


@pytest.fixture(scope="module", params=["query", "cookie"])
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def lenient(place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with started(tmp_path_factory.mktemp(place), media_events_token=place) as service:
        yield service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with started(tmp_path_factory.mktemp("strict")) as service:
        yield service


@asynccontextmanager
async def running(*command: str | Path) -> AsyncIterator[asyncio.StreamReader]:
    """Run a client until the block ends, and give what it prints."""
    process = await asyncio.create_subprocess_exec(*command, cwd=WEB, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()


async def read_json(lines: asyncio.StreamReader) -> AsyncIterator[Event]:
    while line := await lines.readline():
        yield json.loads(line)


async def read_blocks(lines: asyncio.StreamReader) -> AsyncIterator[Event]:
    """Read the stream as curl prints it."""
    fields: dict[str, str] = {}
    while line := (await lines.readline()).decode():
        name, _, value = line.rstrip("\n").partition(": ")
        if line == "\n":
            if "data" in fields:
                yield {"event": fields["event"], "data": json.loads(fields["data"]), "id": fields.get("id")}
            fields = {}
        elif name:
            fields[name] = value


def token_of(user: str) -> str:
    return Tokens(SECRET).issue(UserId(user))


async def check(events: AsyncIterator[Event], service: Service, user: str) -> None:
    """Raise unless the client hears of its beginning, then of a whole job, state by state."""
    seen: list[Event] = []
    async with asyncio.timeout(WITHIN), service.user(user) as api:
        seen.append(await anext(events))
        job_id = await api.generate()
        while seen[-1]["event"] != "generation_complete":
            seen.append(await anext(events))
    states = [event for event in seen if event["event"] not in {"generation_progress", "generation_preview"}]
    names = [event["event"] for event in states]
    assert names == ["ready", "job_queued", "generation_started", "generation_complete"]
    assert {event["data"]["jobId"] for event in states[1:]} == {job_id}
    assert len({event["id"] for event in states}) == 4
    assert states[-1]["data"]["result"]["items"][0]["url"].startswith("http")


def node_client(name: str, service: Service, user: str, *more: str) -> Sequence[str | Path]:
    if shutil.which("node") is None or not (WEB / "node_modules" / "eventsource").is_dir():
        pytest.skip("needs node and the packages of web/ (`make test` brings both)")
    # The program itself: what stands in the environment only starts it, and would not pass a signal on.
    node = subprocess.run(["node", "-p", "process.execPath"], capture_output=True, text=True, check=True)
    return [node.stdout.strip(), CLIENTS / f"{name}.mjs", service.address, token_of(user), *more]


@pytest.mark.parametrize("name", ["eventsource", "eventsource-parser"])
async def test_an_npm_package_follows_a_job(service: Service, name: str) -> None:
    """`eventsource` and `eventsource-parser` from npm understand the stream as it is."""
    async with running(*node_client(name, service, name)) as lines:
        await check(read_json(lines), service, name)


async def test_httpx_sse_follows_a_job(service: Service) -> None:
    """`httpx-sse` understands the stream as it is."""

    async def events() -> AsyncIterator[Event]:
        async for event in source.aiter_sse():
            yield {"event": event.event, "data": event.json(), "id": event.id}

    async with (
        httpx.AsyncClient(
            base_url=service.address,
            headers={"Authorization": f"Bearer {token_of('python')}"},
            trust_env=False,
            timeout=WITHIN,
        ) as client,
        aconnect_sse(client, "GET", "/events") as source,
    ):
        await check(events(), service, "python")


async def test_curl_follows_a_job(service: Service) -> None:
    """`curl -N` shows each event as it happens, with any of its ways to ask for HTTP/2 as well."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs curl")
    head = f"Authorization: Bearer {token_of('curl')}"
    for version in ("--http1.1", "--http1.0"):
        async with running(curl, "-sN", version, "-H", head, f"{service.address}/events") as lines:
            await check(read_blocks(lines), service, "curl")


async def test_a_browser_follows_a_job(lenient: Service, place: str) -> None:
    """A browser's own `EventSource` is let in by a cookie or by its address, and no log has the token."""
    command = node_client("browser", lenient, "browser", place)
    if not find_chromium(command[0]):
        pytest.skip("needs Chromium, see scripts/chromium.sh")
    async with running(*command) as lines:
        await check(read_json(lines), lenient, "browser")
    assert token_of("browser").rpartition(".")[0] not in lenient.log.read_text()


def find_chromium(node: str | Path) -> bool:
    code = "import('./e2e/chromium.mjs').then((it) => process.exit(it.findChromium() ? 0 : 1))"
    return subprocess.run([node, "-e", code], cwd=WEB, check=False).returncode == 0


async def test_a_token_in_the_address_is_for_streams_alone(lenient: Service, place: str) -> None:
    """The setting opens no other endpoint, accepts no wrong token, and says none in an answer."""
    token = token_of("ann")
    sent: dict[str, Any] = (
        {"params": {"access_token": token}} if place == "query" else {"cookies": {"media_token": token}}
    )
    wrong: dict[str, Any] = {
        kind: {name: "wrong." + value for name, value in fields.items()} for kind, fields in sent.items()
    }
    async with httpx.AsyncClient(base_url=lenient.address, trust_env=False) as client:
        assert (await ask(client, "/jobs", **sent))[0] == 401
        status, text = await ask(client, "/events", **wrong)
        assert (status, token in text) == (401, False)
        query = {**sent.get("params", {}), "jobId": "nope"}
        status, text = await ask(client, "/events", params=query, cookies=sent.get("cookies"))
        assert (status, token in text) == (404, False)
    assert token not in lenient.log.read_text()


async def test_by_default_only_the_header_counts(service: Service) -> None:
    """Without the setting neither an address nor a cookie opens a stream."""
    token = token_of("ann")
    async with httpx.AsyncClient(base_url=service.address, trust_env=False) as client:
        assert (await ask(client, "/events", params={"access_token": token}))[0] == 401
        assert (await ask(client, "/events", cookies={"media_token": token}))[0] == 401


async def ask(
    client: httpx.AsyncClient, path: str, *, params: Any = None, cookies: Any = None
) -> tuple[int, str]:
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())}
    answer = await client.get(path, params=params, headers=headers if cookies else {})
    return answer.status_code, answer.text
