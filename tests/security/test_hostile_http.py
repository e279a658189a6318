"""Requests that no client of ours sends: too long, too many, too deep, forged, cut and doubled."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import httpx2
import pytest
import pytest_asyncio

from media_pipeline.api import server_protocol
from media_pipeline.api.limits import MAX_BODY_BYTES, MAX_DEPTH, PACE_BYTES
from tests.integration.program import Api, Running, picture, read_problem, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB: Final = 1024**2
HASTE: Final = 1.0
"""Seconds that a body is waited for."""
PNG: Final = {"filename": "a.png", "contentType": "image/png"}


async def send(service: Running, *parts: bytes) -> bytes:
    """Write bytes on a connection of their own and return everything that is answered until it closes."""
    host, port = service.http.base_url.host, service.http.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 20)
    except (ConnectionResetError, BrokenPipeError):
        return b"reset"
    finally:
        writer.close()


def request(*lines: str, method: str = "GET", path: str = "/jobs", body: bytes = b"") -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *lines]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        pytest.param(request(path="/jobs?q=" + "x" * 17_000), 414, b"uri_too_long", id="long URL"),
        pytest.param(request("X-A: " + "x" * 66_000), 431, b"head_too_large", id="long header"),
        pytest.param(request("X" * 66_000 + ": a"), 431, b"head_too_large", id="long name"),
        pytest.param(request(*["X-A: x"] * 300), 431, b"head_too_large", id="many headers"),
        pytest.param(b"GET /" + b"x" * 70_000, 431, b"head_too_large", id="endless URL"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, 431, b"head_too_large", id="endless header"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", 400, b"bad_request", id="TLS"),
        pytest.param(b"GET / HTTP/1.1\r\nA b: c\r\n\r\n", 400, b"bad_request", id="space in a name"),
        pytest.param(b"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 400, b"bad_request", id="NUL in a value"),
        pytest.param(request("Content-Length: -5"), 400, b"bad_request", id="negative length"),
        pytest.param(
            request("Content-Length: 5", "Content-Length: 6"), 400, b"bad_request", id="two lengths"
        ),
        pytest.param(
            request("Content-Length: 5", "Transfer-Encoding: chunked"), 400, b"bad_request", id="smuggling"
        ),
        pytest.param(
            request("Transfer-Encoding: chunked", method="POST", body=b"zz\r\n"),
            400,
            b"bad_request",
            id="chunk",
        ),
    ],
)
async def test_a_bad_head_is_refused_before_anybody_reads_it(
    service: Running, head: bytes, status: int, code: bytes
) -> None:
    """Too long, too many, or no HTTP: a problem and the end of the connection."""
    answer = await send(service, head)
    assert (status_of(answer), code in answer) == (status, True), answer[:300]
    assert b"content-type: application/problem+json" in answer.lower()


async def test_the_longest_head_is_read(service: Running, api: Api) -> None:
    """What is within the limits arrives whole."""
    headers = {**api.headers, **{f"X-{number}": "x" * 300 for number in range(150)}}
    answer = await service.http.get("/media?q=" + "x" * 200 + "&y=" + "z" * 15_000, headers=headers)
    assert answer.status_code == 200


async def test_a_head_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, service: Running
) -> None:
    """A connection that sends nothing is closed, half a head is answered with 408."""
    monkeypatch.setattr(server_protocol, "HEAD_SECONDS", 0.2)
    assert await send(service) == b""
    assert b"head_too_slow" in await send(service, b"GET /healthz HTT")
    assert (
        await send(service, request(path="/healthz").replace(b"Connection: close\r\n", b""), b"GET /") != b""
    )


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL"])
async def test_no_header_of_a_proxy_changes_an_answer(service: Running, api: Api, name: str) -> None:
    """Addresses come from the settings alone, so nobody can have links made to his own place."""
    value = "for=1.2.3.4;host=evil.test;proto=https" if name == "Forwarded" else "evil.test"
    forged = {
        name: value,
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Prefix": "/evil",
    }
    answer = await api.ask("POST", "/media/upload/init", PNG, headers=forged)
    assert answer.status_code == 200
    assert "evil" not in answer.text
    assert answer.json()["uploadURL"].startswith(str(service.program.settings.base_url))
    path = str((await api.upload(picture()))["objectPath"])
    uploads = "/media?source=upload"  # what other tests asked for may be made meanwhile
    plain, other = [await api.ask("GET", uploads, headers=headers) for headers in ({}, forged)]
    assert path in plain.text
    assert plain.content == other.content
    assert "evil" not in str(
        (await api.ask("POST", "/generate/image", {"prompt": "x"}, headers=forged)).headers
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("http://evil.test/jobs", 401), ("//evil.test/jobs", 404), ("/jobs/", 404), ("/%2e%2e/jobs", 404),
        ("/jobs%2f", 404), ("/jobs;x=1", 404), ("/JOBS", 404), ("/jobs%00", 404), ("/storage/../jobs", 404),
        ("/storage/%2e%2e%2f%2e%2e%2fetc/passwd", 404), ("/assets/..%2f..%2fsettings.py", 404),
    ],
)  # fmt: skip
async def test_an_odd_path_is_the_path_it_says(service: Running, path: str, status: int) -> None:
    """Absolute forms, doubled and encoded slashes lead to no other route, and to no redirect."""
    assert status_of(await send(service, request(path=path))) in {status, 401}


async def test_a_method_in_a_header_is_not_followed(service: Running, api: Api) -> None:
    """Only the request's own method counts."""
    path = str((await api.upload(picture()))["objectPath"])
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"):
        await api.ask("POST", f"/media/{path}", {}, headers={name: "DELETE"})
    assert [item["path"] for item in await api.items()] == [path]


INJECTED: Final = "a\r\nSet-Cookie: x=1\r\n\r\nevent: job_cancelled\ndata: {}\n\n\u2028\u0085"


async def test_text_of_a_user_stays_text(
    service: Running, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Line breaks in a name, an alt text or a position make no header, no event and no line of the log."""
    async with api.events() as stream:
        permission = await api.init(filename=INJECTED + ".png", contentType="image/png")
        put = await api.put(permission, picture())
        done = await api.complete(permission)
        await api.end(permission["jobId"])
        path = permission["objectPath"]
        assert (await api.ask("PATCH", f"/media/{path}", {"alt": "x\ndata: y"})).status_code in {200, 422}
        shown = await service.http.get(done.json()["url"])
        frames = await stream.until("upload_complete")
    for answer in (put, done, shown):
        assert "set-cookie" not in answer.headers
    assert "job_cancelled" not in {frame.name for frame in frames}
    assert b"\r\nevent: job_cancelled" not in stream.raw
    assert "Set-Cookie" not in {
        line.strip() for record in caplog.records for line in record.message.splitlines()
    }
    odd = await api.ask("GET", "/events?lastEventId=1-1%0d%0aevent:%20x&jobId=a%0ab")
    assert read_problem(odd)[0] in {404, 422}


def nested(opening: bytes, closing: bytes, levels: int) -> bytes:
    return opening * levels + b"1" + closing * levels


def deep(levels: int) -> bytes:
    return b'{"prompt": ' + nested(b"[", b"]", levels) + b"}"


BOMBS: Final = {
    "deep lists": ("application/json", deep(400_000)),
    "texts without end": ("application/json", b"[" * 40 + b'"' * 900_000),
    "deep objects": ("application/json", b'{"prompt":' * 90_000 + b"1" + b"}" * 90_000),
    "a long number": ("application/json", b'{"prompt": "x", "seed": ' + b"9" * 900_000 + b"}"),
    "many keys": ("application/json", json.dumps({f"k{number}": 1 for number in range(60_000)}).encode()),
    "one key often": ("application/json", b"{" + b'"n":1,' * 150_000 + b'"prompt":"x"}'),
    "many pictures": ("application/json", json.dumps({"prompt": "x", "images": [{}] * 200_000}).encode()),
    "form fields": ("application/x-www-form-urlencoded", b"&".join(b"f%d=x" % n for n in range(10_000))),
    "multipart fields": (
        "multipart/form-data; boundary=b",
        b"".join(b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n' % n for n in range(10_000))
        + b"--b--",
    ),
    "multipart preamble": ("multipart/form-data; boundary=b", b"\r\n" * 400_000),
    "multipart text": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + b"x" * 900_000,
    ),
    "a compressed body": ("application/json", b"\x1f\x8b\x08" + b"\0" * 900_000),
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_is_refused_and_holds_nobody_up(service: Running, api: Api, name: str) -> None:
    """Deep, long, many: a 4xx, little memory, and the loop goes on serving others."""
    kind, body = BOMBS[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = await service.http.post(
        "/generate/image", content=body, headers={**api.headers, "Content-Type": kind}
    )
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 20_000
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 64 * MIB
    assert (await api.get("/jobs"))["jobs"] == []


@pytest.mark.parametrize(
    ("prompt", "refusal"),
    [
        (nested(b"[", b"]", MAX_DEPTH), (400, "json_too_deep")),
        (nested(b'{"a":', b"}", MAX_DEPTH), (400, "json_too_deep")),
        (nested(b"[", b"]", 9_000), (400, "json_too_deep")),
        (nested(b"[", b"]", 50_000), (413, "too_large")),
        (b"[" * 9_000, (400, "json_too_deep")),
        (nested(b"[", b"]", MAX_DEPTH - 1), (422, "invalid_request")),
        (b"]" * 900_000, (400, "malformed_json")),
    ],
    ids=["lists", "objects", "deep", "deeper", "unclosed", "just", "closed"],
)
async def test_a_body_is_deep_to_a_limit(
    service: Running, api: Api, prompt: bytes, refusal: tuple[int, str]
) -> None:
    """One level more than the limit is refused by its own code, however deep it goes on."""
    body = b'{"prompt": ' + prompt + b"}"
    answer = await service.http.post(
        "/generate/image", content=body, headers={**api.headers, "Content-Type": "application/json"}
    )
    assert read_problem(answer) == refusal


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16", "utf-32-be"])
async def test_no_encoding_hides_a_depth(service: Running, api: Api, encoding: str) -> None:
    """JSON is UTF-8 on the wire; what only a lenient parser would read is refused before it."""
    body = ('{"prompt": "\\"", "images": ' + "[" * 900 + "]" * 900 + "}").encode(encoding)
    answer = await service.http.post(
        "/generate/image", content=body, headers={**api.headers, "Content-Type": "application/json"}
    )
    assert read_problem(answer) == (400, "malformed_json")


async def test_brackets_in_a_text_are_no_depth(api: Api) -> None:
    """A prompt may be full of brackets, quotes and backslashes."""
    prompt = '[{\\"[{"' * 100
    assert (await api.ask("POST", "/generate/image", {"prompt": prompt})).status_code == 202


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hasty() -> AsyncIterator[Running]:
    """A program that waits for nobody."""
    async with running(providers=[], media_body_seconds=HASTE) as program:
        yield program


async def drip(service: Running, *parts: bytes, between: float) -> bytes:
    """Write parts with pauses on a connection of their own and return everything that is answered."""
    host, port = service.http.base_url.host, service.http.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    answer = []

    async def listen() -> None:
        with suppress(ConnectionResetError):  # it is closed while we write
            while data := await reader.read(4096):
                answer.append(data)

    listening = asyncio.create_task(listen())
    try:
        for part in parts:
            writer.write(part)
            await asyncio.wait([listening], timeout=between)
            if listening.done():
                break
        await asyncio.wait_for(listening, 20)
    finally:
        writer.close()
    return b"".join(answer)


@pytest.mark.parametrize("path", ["/generate/image", "/storage/media/ann/x/a.png"])
async def test_a_body_that_drips_is_given_up(hasty: Running, path: str) -> None:
    """A body of which a byte comes now and then is answered with 408, and its connection closed."""
    api = hasty.user("ann")
    if path.startswith("/storage"):
        path = str((await api.init(**PNG))["uploadURL"]).removeprefix(str(hasty.http.base_url).rstrip("/"))
    head = request(
        f"Authorization: {api.headers['Authorization']}", "Content-Type: image/png", "Content-Length: 900",
        method="PUT" if path.startswith("/storage") else "POST", path=path,
    )  # fmt: skip
    answer = await drip(hasty, head, *[b"x"] * 100, between=HASTE / 5)
    assert status_of(answer) == 408
    assert b"body_too_slow" in answer


async def test_an_upload_with_a_steady_pace_is_not_given_up(hasty: Running) -> None:
    """A body that takes many times as long as a standstill may is taken whole."""
    api = hasty.user("bob")
    permission = await api.init(**PNG)
    data = picture() + bytes(8 * PACE_BYTES)

    async def steady() -> AsyncIterator[bytes]:
        for start in range(0, len(data), PACE_BYTES):
            yield data[start : start + PACE_BYTES]
            await asyncio.sleep(HASTE / 6)

    assert (await api.put(permission, steady())).status_code == 200


async def test_what_was_answered_early_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, service: Running
) -> None:
    """A body that goes on dripping after its answer ends with its connection."""
    monkeypatch.setattr(server_protocol, "HEAD_SECONDS", 0.2)
    head = request("Content-Length: 900", method="POST", path="/nowhere").replace(
        b"Connection: close\r\n", b""
    )
    assert status_of(await drip(service, head, *[b"x"] * 400, between=0.05)) == 404


async def test_a_body_without_end_is_cut(service: Running, api: Api) -> None:
    """A body that never says its length is read to the limit and refused."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(4 * MAX_BODY_BYTES // 65_536):
            yield b"x" * 65_536

    answer = await service.http.post("/generate/image", content=endless(), headers=api.headers)
    assert read_problem(answer) == (413, "too_large")


@pytest.mark.parametrize(
    "value",
    [
        "bytes=" + ",".join(f"{n}-{n}" for n in range(6_000)), "bytes=" + "0-," * 12_000,
        "bytes=-" + "9" * 5_000, "bytes=0-" + "9" * 5_000, "bytes=" + "9" * 5_000 + "-",
        "bytes=5-1", "bytes=--1", "bytes=0-0,0-0", "bytes=",
        "lines=0-1", "bytes=0x0-0x5", "bytes=\u0661-\u0662".encode().decode("latin-1"), "bytes = 0 - 5",
    ],
)  # fmt: skip
async def test_a_range_is_one_or_none(service: Running, api: Api, value: str) -> None:
    """However many ranges are asked for, the answer is one part, the whole, or none, and never longer."""
    data = picture(side=8)
    permission = await api.upload(data)
    url = (await api.items())[0]["url"]
    began = time.perf_counter()
    answer = await service.http.get(url, headers={b"Range": value.encode("latin-1")})
    assert answer.status_code in {200, 206, 416, 431}
    assert len(answer.content) <= max(len(data), 500)
    assert time.perf_counter() - began < 5
    assert permission["objectPath"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def quiet() -> AsyncIterator[Running]:
    async with running(providers=[]) as program:
        yield program


@pytest.mark.long
async def test_bombs_leave_the_loop_responsive(quiet: Running) -> None:
    """All bombs, 20 times over, four at once, amid 50 slow bodies: the loop's lag at p99 is under 50 ms."""
    api, lags, over = quiet.user("ann"), [], asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            lags.append(time.perf_counter() - began - 0.005)

    async def throw(kind: str, body: bytes) -> httpx2.Response:
        return await quiet.http.post(
            "/generate/image", content=body, headers={**api.headers, "Content-Type": kind}
        )

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    head = request(
        f"Authorization: {api.headers['Authorization']}",
        "Content-Length: 900",
        method="POST",
        path="/generate/image",
    )
    slow = [asyncio.create_task(drip(quiet, head, *[b"x"] * 800, between=0.2)) for _ in range(50)]
    watching = asyncio.create_task(watch())
    bombs = [*BOMBS.values()] * 20
    for start in range(0, len(bombs), 4):
        await asyncio.gather(*(throw(*bomb) for bomb in bombs[start : start + 4]))
    over.set()
    await watching
    for each in slow:
        each.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    p99 = sorted(lags)[int(len(lags) * 0.99)]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"lag p99 {p99 * 1000:.1f} ms, worst {max(lags) * 1000:.1f} ms, memory +{grown:.0f} MiB")  # noqa: T201
    assert p99 < 0.05
    assert grown < 4 * 64
