"""`/storage/` over HTTP: in process where that is enough, over a socket where bytes must be counted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from media_pipeline.api.problems import install_problems
from media_pipeline.api.routes.storage import Standing, storage_routes
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.served import ServedStore
from media_pipeline.storage.store import MediaObject, ObjectNotFound
from tests.clocks import FakeClock

URL = "http://media.test"
PATH = "media/1/j/a b.png"
ALPHABET = b"abcdefghijklmnopqrstuvwxyz"
MAX_UPLOAD = 1_000_000


@dataclass
class Service:
    """A store behind its routes, and what the routes told."""

    store: ServedStore
    clock: FakeClock
    app: FastAPI
    gone: set[str] = field(default_factory=set)
    progress: asyncio.Queue[tuple[str, int, int | None]] = field(default_factory=asyncio.Queue)

    async def put(self, data: bytes, *, content_type: str = "image/png", size: int | None = None) -> Response:
        permission = await self.store.upload_presigned(PATH, content_type, size=size)
        return await self.ask("PUT", permission.url, content=data, headers=dict(permission.headers))

    async def get(self, **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("GET", await self.store.get_url(PATH), headers=named)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        content: bytes | AsyncIterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        async with AsyncClient(transport=ASGITransport(app=self.app), base_url=URL) as client:
            return await client.request(method, url, content=content, headers=headers)


def served(store: ServedStore, clock: FakeClock) -> Service:
    service = Service(store=store, clock=clock, app=FastAPI())

    async def on_progress(path: str, loaded: int, total: int | None) -> None:
        service.progress.put_nowait((path, loaded, total))

    async def standing(path: str) -> Standing:
        return "gone" if path in service.gone else "open"

    service.app.include_router(storage_routes(store, on_progress=on_progress, standing=standing))
    install_problems(service.app)
    return service


@pytest.fixture(params=["memory", "local"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Service]:
    clock = FakeClock()
    store: ServedStore = MemoryStore(URL, clock=clock, max_upload_bytes=MAX_UPLOAD, max_bytes=2 * MAX_UPLOAD)
    if request.param == "local":
        store = LocalStore(tmp_path, URL, clock=clock, max_upload_bytes=MAX_UPLOAD)
    yield served(store, clock)
    await store.aclose()


@dataclass
class Wire:
    """A raw connection to a running service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def put(self, url: str, *headers: str) -> None:
        target = url.removeprefix(URL)
        lines = [f"PUT {target} HTTP/1.1", "Host: media.test", "Content-Type: image/png", *headers, "", ""]
        await self.send("\r\n".join(lines).encode())

    async def answer(self) -> str:
        """Return status line and headers."""
        async with asyncio.timeout(10):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def ended(self) -> bool:
        """Wait until the service has closed the connection."""
        async with asyncio.timeout(10):
            while await self.reader.read(65536):
                pass
        return True


@asynccontextmanager
async def wired(service: Service) -> AsyncIterator[Wire]:
    """Run the service on a free port and connect to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(service.app, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve([listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    yield Wire(reader, writer)
    writer.close()
    server.should_exit = True
    await task
    listener.close()


def problem(answer: Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    return answer.status_code, answer.json()["code"]


async def is_absent(store: ServedStore) -> bool:
    try:
        await store.stat(PATH)
    except ObjectNotFound:
        return True
    return False


# --- writing


async def test_a_put_is_what_a_get_returns(service: Service) -> None:
    """The bytes and the type of a signed PUT come back, under the tag that the PUT answered."""
    written = await service.put(ALPHABET)
    assert written.status_code == 200
    read = await service.get()
    assert (read.status_code, read.content) == (200, ALPHABET)
    assert read.headers["content-type"] == "image/png"
    assert read.headers["content-length"] == "26"
    assert read.headers["etag"] == written.headers["etag"]


async def test_without_a_size_a_ticket_overwrites(service: Service) -> None:
    """A ticket that signs only the type may be used again until it expires."""
    assert (await service.put(b"one")).status_code == 200
    assert (await service.put(b"two")).status_code == 200
    assert (await service.get()).content == b"two"


async def test_with_a_size_a_ticket_creates_once(service: Service) -> None:
    """The second PUT of a sized ticket is 412 and changes nothing."""
    assert (await service.put(b"one", size=3)).status_code == 200
    assert problem(await service.put(b"two", size=3)) == (412, "object_changed")
    assert (await service.get()).content == b"one"


@pytest.mark.parametrize("body", [b"12", b"1234", b""])
async def test_with_a_size_only_that_length_is_taken(service: Service, body: bytes) -> None:
    """A declared length other than the signed one is refused, as is a body that differs from it."""

    async def chunked() -> AsyncIterator[bytes]:
        yield body

    expected = (413, "too_large") if len(body) > 3 else (400, "upload_size_mismatch")
    assert problem(await service.put(body, size=3)) == expected
    permission = await service.store.upload_presigned(PATH, "image/png", size=3)
    answer = await service.ask("PUT", permission.url, content=chunked(), headers=dict(permission.headers))
    assert problem(answer) == expected
    assert await is_absent(service.store)


async def test_no_type_signed_takes_what_the_client_says(service: Service) -> None:
    """An empty type lets the client's own stand, and none becomes octet-stream."""
    permission = await service.store.upload_presigned(PATH, "")
    await service.ask("PUT", permission.url, content=b"x", headers={"Content-Type": "image/webp"})
    assert (await service.get()).headers["content-type"] == "image/webp"
    await service.ask("PUT", permission.url, content=b"x")
    assert (await service.get()).headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("content_type", ["text/html", "image/png; a=b", ""])
async def test_another_type_is_refused(service: Service, content_type: str) -> None:
    """The content type that was signed is the only one taken."""
    permission = await service.store.upload_presigned(PATH, "image/png")
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await service.ask("PUT", permission.url, content=b"x", headers=headers)
    assert problem(answer) == (415, "upload_type_mismatch")
    assert await is_absent(service.store)


async def test_a_forged_ticket_is_refused(service: Service) -> None:
    """No signature, a changed one, and one for another path are all 403."""
    url = (await service.store.upload_presigned(PATH, "image/png")).url
    plain = await service.store.get_url(PATH)
    for forged in (plain, url[:-2] + "AA", url.replace("a%20b.png", "c.png"), url + "&size=1"):
        answer = await service.ask("PUT", forged, content=b"x", headers={"Content-Type": "image/png"})
        assert problem(answer) == (403, "upload_forbidden")
    assert await service.store.list("") == []


async def test_an_expired_ticket_is_refused(service: Service) -> None:
    """A ticket is 403 from its end on."""
    permission = await service.store.upload_presigned(PATH, "image/png", expires_in=timedelta(seconds=5))
    service.clock.advance(5)
    answer = await service.ask("PUT", permission.url, content=b"x", headers=dict(permission.headers))
    assert problem(answer) == (403, "upload_expired")


async def test_a_path_that_could_escape_is_missing(service: Service) -> None:
    """An encoded dot segment reaches nothing, read or written."""
    for path in ("media/%2e%2e/x", "media//x", "media/a%5cb", "media/%00"):
        assert problem(await service.ask("GET", f"{URL}/storage/{path}")) == (404, "object_not_found")
        assert (await service.ask("PUT", f"{URL}/storage/{path}", content=b"x")).status_code in {403, 404}


async def test_a_full_store_is_507() -> None:
    """A memory store that cannot hold the upload says so, before the body where the length is known."""
    service = served(MemoryStore(URL, max_bytes=2_000_000), FakeClock())
    await service.store.upload("other", b"x" * 1_900_000, "text/plain")
    assert problem(await service.put(b"y" * 200_000)) == (507, "storage_full")

    async def chunked() -> AsyncIterator[bytes]:
        yield b"y" * 200_000

    permission = await service.store.upload_presigned(PATH, "image/png")
    answer = await service.ask("PUT", permission.url, content=chunked(), headers=dict(permission.headers))
    assert problem(answer) == (507, "storage_full")
    assert await is_absent(service.store)


async def test_any_name_makes_the_journey(service: Service) -> None:
    """A path of reserved, percent and Unicode characters is the same path on both sides of a URL."""
    path = "media/=40/j/100%25 a+b?c#d&e=f;g'\"é图🎨.png"
    permission = await service.store.upload_presigned(path, "image/png", size=3)
    answer = await service.ask("PUT", permission.url, content=b"odd", headers=dict(permission.headers))
    assert answer.status_code == 200
    assert [item.path for item in await service.store.list("")] == [path]
    assert (await service.ask("GET", await service.store.get_url(path))).content == b"odd"


async def test_what_is_gone_is_not_written_again(service: Service) -> None:
    """A ticket that is still good does not bring back an object that was removed for good."""
    service.gone.add(PATH)
    assert problem(await service.put(b"x")) == (410, "object_gone")


# --- writing, over a socket


async def test_a_body_too_long_is_refused_unread(service: Service) -> None:
    """A Content-Length over the limit is 413 before one byte of the body was sent, and the line is cut."""
    permission = await service.store.upload_presigned(PATH, "image/png")
    async with wired(service) as wire:
        await wire.put(permission.url, f"Content-Length: {MAX_UPLOAD + 1}")
        answer = await wire.answer()
        assert answer.startswith("HTTP/1.1 413 ")
        assert "connection: close" in answer
        assert await wire.ended()


async def test_a_client_that_asks_first_sends_nothing_in_vain(service: Service) -> None:
    """With Expect: 100-continue a refusal comes instead of the invitation."""
    async with wired(service) as wire:
        await wire.put(await service.store.get_url(PATH), "Content-Length: 5", "Expect: 100-continue")
        assert (await wire.answer()).startswith("HTTP/1.1 403 ")


async def test_one_byte_too_many_is_refused_while_it_streams(service: Service) -> None:
    """A chunked body is 413 at the byte over the limit, though more was to come, and nothing is visible."""
    permission = await service.store.upload_presigned(PATH, "image/png")
    async with wired(service) as wire:
        await wire.put(permission.url, "Transfer-Encoding: chunked")
        await wire.send(b"%x\r\n" % MAX_UPLOAD + b"x" * MAX_UPLOAD + b"\r\n")
        while (await service.progress.get())[1] < MAX_UPLOAD:
            pass
        await wire.send(b"1\r\nx\r\n")
        assert (await wire.answer()).startswith("HTTP/1.1 413 ")
    assert await is_absent(service.store)


async def test_progress_is_what_has_arrived(service: Service) -> None:
    """Each chunk that arrives is told with the total, while the rest is still unsent."""
    permission = await service.store.upload_presigned(PATH, "image/png")
    async with wired(service) as wire:
        await wire.put(permission.url, "Content-Length: 10")
        await wire.send(b"1234")
        assert await service.progress.get() == (PATH, 4, 10)
        assert await is_absent(service.store)
        await wire.send(b"567890")
        assert await service.progress.get() == (PATH, 10, 10)
        assert (await wire.answer()).startswith("HTTP/1.1 200 ")


async def test_a_broken_upload_leaves_nothing(service: Service) -> None:
    """A client that goes away in the middle leaves no object, and the path is free."""
    permission = await service.store.upload_presigned(PATH, "image/png", size=10)
    async with wired(service) as wire:
        await wire.put(permission.url, "Content-Length: 10")
        await wire.send(b"1234")
        await service.progress.get()
    assert await is_absent(service.store)
    assert (await service.put(b"1234567890", size=10)).status_code == 200


# --- reading


@pytest.mark.parametrize(
    ("header", "status", "content_range", "body"),
    [
        ("bytes=0-", 206, "bytes 0-25/26", ALPHABET),
        ("bytes=0-0", 206, "bytes 0-0/26", b"a"),
        ("bytes=2-4", 206, "bytes 2-4/26", b"cde"),
        ("bytes=20-99", 206, "bytes 20-25/26", b"uvwxyz"),
        ("bytes=-3", 206, "bytes 23-25/26", b"xyz"),
        ("bytes=-99", 206, "bytes 0-25/26", ALPHABET),
        ("bytes=4-2", 200, None, ALPHABET),
        ("bytes=0-1,3-4", 200, None, ALPHABET),
        ("pages=1-2", 200, None, ALPHABET),
        ("nonsense", 200, None, ALPHABET),
    ],
)
async def test_a_range_is_answered(
    service: Service, header: str, status: int, content_range: str | None, body: bytes
) -> None:
    """One range is 206 with its place; several and malformed ones get the whole."""
    await service.put(ALPHABET)
    answer = await service.get(range=header)
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.get("content-range") == content_range
    assert answer.headers["content-length"] == str(len(body))
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("header", ["bytes=26-", "bytes=99-100", "bytes=-0"])
async def test_a_range_of_nothing_is_416(service: Service, header: str) -> None:
    """A range outside is 416 and says how much there is."""
    await service.put(ALPHABET)
    answer = await service.get(range=header)
    assert problem(answer) == (416, "range_unsatisfiable")
    assert answer.headers["content-range"] == "bytes */26"


async def test_a_range_continues_only_the_same_version(service: Service) -> None:
    """If-Range with another tag gets the whole of the new version."""
    tag = (await service.put(ALPHABET)).headers["etag"]
    assert (await service.get(range="bytes=0-1", if_range=tag)).status_code == 206
    await service.put(b"replaced")
    answer = await service.get(range="bytes=0-1", if_range=tag)
    assert (answer.status_code, answer.content) == (200, b"replaced")


async def test_a_known_version_is_not_sent_again(service: Service) -> None:
    """If-None-Match with the current tag is 304 without a body, and caches must ask."""
    tag = (await service.put(ALPHABET)).headers["etag"]
    answer = await service.get(if_none_match=f'"other", {tag}')
    assert (answer.status_code, answer.content) == (304, b"")
    assert (answer.headers["etag"], answer.headers["cache-control"]) == (tag, "no-cache")
    await service.put(b"replaced")
    assert (await service.get(if_none_match=tag)).content == b"replaced"


async def test_head_is_get_without_bytes(service: Service) -> None:
    """HEAD has every header of GET, the length too, and no body; a range is not for it."""
    await service.put(ALPHABET)
    url = await service.store.get_url(PATH)
    head, get = await service.ask("HEAD", url, headers={"Range": "bytes=0-1"}), await service.get()
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers


async def test_an_empty_object_is_sent_whole(service: Service) -> None:
    """A range of an empty object is 200 with no bytes."""
    await service.put(b"")
    answer = await service.get(range="bytes=0-")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_missing_object_is_404_and_a_removed_one_410(service: Service) -> None:
    """What never was is not found; what was removed for good is gone."""
    assert problem(await service.get()) == (404, "object_not_found")
    service.gone.add(PATH)
    assert problem(await service.get()) == (410, "object_gone")
    assert (await service.ask("HEAD", await service.store.get_url(PATH))).status_code == 410


async def test_an_object_replaced_between_two_looks_is_sent_whole(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers and bytes of one answer are of one version, also when a write falls between."""
    await service.put(b"old")
    stale = await service.store.stat(PATH)
    await service.put(b"newer")
    fresh = service.store.stat
    looks = iter([stale])

    async def look(path: str) -> MediaObject:
        return next(looks, None) or await fresh(path)

    monkeypatch.setattr(service.store, "stat", look)
    answer = await service.get()
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"newer", "5")


async def test_an_object_that_never_holds_still_is_503(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that meets another version again and again asks the client to come back."""
    await service.put(b"old")
    stale = await service.store.stat(PATH)
    await service.put(b"new")

    async def look(path: str) -> MediaObject:
        return stale

    monkeypatch.setattr(service.store, "stat", look)
    assert problem(await service.get()) == (503, "storage_unavailable")


# --- browsers


@pytest.mark.parametrize(
    "kind", ["image/png", "image/avif", "video/mp4", "video/webm;codecs=vp8", "audio/mpeg"]
)
async def test_pictures_and_films_are_shown(service: Service, kind: str) -> None:
    """What a browser only draws or plays is inline, in a sandbox, and never sniffed."""
    await service.put(b"x", content_type=kind)
    headers = (await service.get()).headers
    assert headers["content-type"] == kind
    assert headers["content-disposition"] == "inline"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'; sandbox")
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "kind", ["image/svg+xml", "text/html", "TEXT/HTML", "application/pdf", "text/xml", "image/unknown"]
)
async def test_what_could_run_is_an_attachment(service: Service, kind: str) -> None:
    """Anything that a browser might run or render as a page is only ever saved."""
    await service.put(b"<script>", content_type=kind)
    headers = (await service.get()).headers
    assert headers["content-disposition"] == "attachment; filename=\"a b.png\"; filename*=UTF-8''a%20b.png"
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]


async def test_an_attachment_has_its_name_in_any_script(service: Service) -> None:
    """The plain name is ASCII without quotes; the other carries every character."""
    path = 'media/1/j/é"图%.html'
    await service.store.upload(path, b"x", "text/html")
    answer = await service.ask("GET", await service.store.get_url(path))
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"____.html\"; filename*=UTF-8''%C3%A9%22%E5%9B%BE%25.html"
    )


@pytest.mark.parametrize("kind", ["", "nonsense", "image/png\r\nX-Evil: 1", "текст/html"])
async def test_a_type_that_is_none_is_bytes(service: Service, kind: str) -> None:
    """A stored type that no header could carry is served as octet-stream."""
    await service.store.upload(PATH, b"x", kind)
    headers = (await service.get()).headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")
    assert "x-evil" not in headers


async def test_any_page_may_ask_to_put(service: Service) -> None:
    """A preflight is answered for any origin, without credentials, with the usual headers only."""
    asked = "Content-Type, X-Upload-Id, authorization, cookie, x-" + "y" * 99
    answer = await service.ask(
        "OPTIONS",
        await service.store.get_url(PATH),
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": asked,
        },
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, PUT"
    assert answer.headers["access-control-allow-headers"] == "content-type, range, x-upload-id"
    assert "access-control-allow-credentials" not in answer.headers


async def test_any_page_may_read_the_headers_it_needs(service: Service) -> None:
    """Tag, length and ranges are exposed to scripts of other origins."""
    await service.put(ALPHABET)
    exposed = (await service.get()).headers["access-control-expose-headers"]
    assert set(exposed.split(", ")) == {"Accept-Ranges", "Content-Length", "Content-Range", "ETag"}


async def test_the_routes_are_in_the_schema(service: Service) -> None:
    """OpenAPI describes reading and writing, each under a name of its own."""
    (described,) = service.app.openapi()["paths"].values()
    assert set(described) == {"get", "head", "put"}
    assert len({operation["operationId"] for operation in described.values()}) == 3


async def test_no_other_method_is_served(service: Service) -> None:
    """POST and DELETE have no meaning here."""
    url = await service.store.get_url(PATH)
    assert (await service.ask("DELETE", url)).status_code == 405
    assert (await service.ask("POST", url, content=b"x")).status_code == 405
