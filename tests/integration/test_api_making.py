"""New items from the public web and from other items."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from uuid import uuid4

import av
import pytest
import pytest_asyncio
from av.video.stream import VideoStream
from PIL import Image

from tests.corpus import HEIGHT, HTML, SECRET, WIDTH, animated, exif, film, still, turned
from tests.integration.program import Api, Frame, Running, Wire, read_problem, running
from tests.integration.test_api_ingest import check_upright
from tests.servers.sites import Site, Visit, site

ORIENTATION = 0x0112
pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def web() -> AsyncIterator[Site]:
    """A server of the public web, as far as the program of these tests is told."""
    async with site("127.0.0.2") as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def program() -> AsyncIterator[Running]:
    async with running(media_fetch_http=True, media_fetch_networks="127.0.0.2/32") as service:
        yield service


@pytest.fixture
def ann(program: Running) -> Api:
    return program.user(f"ann-{uuid4().hex}")


async def begin(api: Api, where: str, /, **body: object) -> str:
    answer = await api.ask("POST", where, body)
    assert answer.status_code == 202, answer.text
    job_id = str(answer.json()["jobId"])
    assert answer.headers["location"] == f"/jobs/{job_id}"
    return job_id


async def process(api: Api, item: Wire, **operation: object) -> Wire:
    """Do an operation on an item and return the new one."""
    job_id = await begin(api, "/media/process", path=item["path"], operation=operation)
    end = await api.end(job_id)
    assert end.name == "process_complete", end.data
    made: Wire = end.data["result"]["item"]
    assert (made["source"], made["sourcePath"], made["jobId"]) == ("process", item["path"], job_id)
    assert made in [_said(each) for each in await api.items()]
    return made


def _said(item: Wire) -> Wire:
    return {name: value for name, value in item.items() if value is not None}


async def item_of(api: Api, data: bytes, filename: str = "a.png") -> Wire:
    permission = await api.upload(data, filename=filename, content_type="")
    (item,) = await api.items(f"?prefix={permission['jobId']}")
    return item


async def content(api: Api, item: Wire) -> bytes:
    return (await api.http.get(item["url"])).content


async def test_a_public_file_is_imported(ann: Api, web: Site) -> None:
    """The file comes into the library like an upload, with its bytes counted as they come."""
    data = turned(6)
    reading = asyncio.Event()

    async def slowly(writer: asyncio.StreamWriter, _: Visit) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[:100])
        await writer.drain()
        await reading.wait()
        writer.write(data[100:])
        await writer.drain()

    web.replies["/pictures/holiday%20one.jpg?size=1"] = slowly
    async with ann.events() as stream:
        url = web.url("/pictures/holiday%20one.jpg?size=1")
        job_id = await begin(ann, "/media/import", url=url)
        first = (await stream.until("upload_progress"))[-1]
        reading.set()
        frames = await stream.until("upload_complete")
    share = round(100 * 100 / len(data), 1)
    assert first.data["progress"] == share
    assert first.data["message"] == f"100 of {len(data):,} bytes"
    told = [frame.data["progress"] for frame in frames if frame.name == "upload_progress"]
    assert told == sorted(told)
    assert told[-1] == 99.0
    item = frames[-1].data["result"]["item"]
    assert (item["source"], item["name"], item["width"]) == ("import", "holiday one.jpg", WIDTH)
    assert item["path"] == f"media/{ann.user}/{job_id}/holiday one.jpg"
    assert await content(ann, item) == data
    check_upright((await ann.http.get(item["thumbnailUrl"])).content, grey=False)


@pytest.mark.parametrize(
    ("body", "code"), [(HTML, "type_not_allowed"), (b"", "empty_file"), (still("PNG")[:-40], "bad_media")]
)
async def test_an_import_is_looked_into_like_an_upload(
    program: Running, ann: Api, web: Site, body: bytes, code: str
) -> None:
    """What is no picture or film is refused, and nothing of it is kept."""
    web.serve("/a.png", body, "Content-Type: image/png")
    end = await ann.end(await begin(ann, "/media/import", url=web.url("/a.png")))
    assert (end.name, end.data["code"]) == ("upload_failed", code)
    assert await program.objects(ann) == []


async def test_a_refused_source_fails_the_import(ann: Api, web: Site) -> None:
    """A 404 of the other side ends the job with what it answered; a retry is a new job."""
    web.serve("/a.png", b"", status="404 Not Found")
    job_id = await begin(ann, "/media/import", url=web.url("/a.png"), filename="named.png")
    end = await ann.end(job_id)
    assert (end.data["code"], end.data["retryable"]) == ("source_refused", False)
    assert "404" in end.data["error"]
    web.serve("/a.png", still("PNG"))
    again = await ann.ask("POST", f"/jobs/{job_id}/retry")
    end = await ann.end(again.json()["jobId"])
    assert end.data["result"]["item"]["name"] == "named.png"


async def test_an_import_goes_to_no_private_address(ann: Api, web: Site) -> None:
    """A private address is refused at once; one behind a redirect fails the job untouched."""
    async with site("127.0.0.1") as canary:
        answer = await ann.ask("POST", "/media/import", {"url": canary.url("/")})
        assert read_problem(answer) == (422, "url_refused")
        web.redirect("/away", canary.url("/"))
        end = await ann.end(await begin(ann, "/media/import", url=web.url("/away")))
        assert (end.name, end.data["code"]) == ("upload_failed", "url_refused")
        assert canary.touched == 0


async def test_a_cancelled_import_leaves_the_server(program: Running, ann: Api, web: Site) -> None:
    """Cancelling ends the connection and keeps nothing."""
    left = asyncio.Event()

    async def endless(writer: asyncio.StreamWriter, _: Visit) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + still("PNG"))
        try:
            while True:
                await writer.drain()
                writer.write(b"x")
                await asyncio.sleep(0.01)
        except ConnectionError:
            left.set()

    web.replies["/slow"] = endless
    async with ann.events() as stream:
        job_id = await begin(ann, "/media/import", url=web.url("/slow"))
        await stream.until("upload_progress")
        assert (await ann.ask("POST", f"/jobs/{job_id}/cancel")).status_code == 202
        await stream.until("job_cancelled")
    async with asyncio.timeout(5):
        await left.wait()
    assert await program.objects(ann) == []


async def test_the_same_key_begins_one_job(ann: Api, web: Site) -> None:
    """Import and process honour `Idempotency-Key`."""
    web.serve("/a.png", still("PNG"))
    key = {"Idempotency-Key": "one"}
    body = {"url": web.url("/a.png")}
    first = await ann.ask("POST", "/media/import", body, headers=key)
    assert (await ann.ask("POST", "/media/import", body, headers=key)).json() == first.json()
    other = await ann.ask("POST", "/media/import", {**body, "filename": "b"}, headers=key)
    assert read_problem(other) == (422, "idempotency_conflict")


@pytest.mark.parametrize(
    ("operation", "size", "content_type"),
    [
        ({"type": "resize", "width": 48}, (48, 32), "image/jpeg"),
        ({"type": "resize", "width": 40, "height": 40}, (40, 27), "image/jpeg"),
        ({"type": "resize", "width": 40, "height": 40, "fit": "cover"}, (40, 40), "image/jpeg"),
        ({"type": "resize", "width": 10, "height": 40, "fit": "fill"}, (10, 40), "image/jpeg"),
        ({"type": "crop", "x": 48, "y": 32, "width": 48, "height": 32}, (48, 32), "image/jpeg"),
        ({"type": "convert", "format": "png"}, (WIDTH, HEIGHT), "image/png"),
        ({"type": "convert", "format": "avif", "quality": 50}, (WIDTH, HEIGHT), "image/avif"),
        ({"type": "convert", "format": "webp"}, (WIDTH, HEIGHT), "image/webp"),
        ({"type": "thumbnail", "size": 30}, (30, 20), "image/webp"),
    ],
)
async def test_a_picture_is_made_of_a_picture(
    ann: Api, operation: Wire, size: tuple[int, int], content_type: str
) -> None:
    """Each operation gives an upright item of the right size and type, without what was private."""
    item = await item_of(ann, turned(8), "photo.jpg")
    made = await process(ann, item, **operation)
    assert (made["width"], made["height"], made["contentType"]) == (*size, content_type)
    assert made["name"] == f"photo-{operation['type']}.{content_type.partition('/')[2]}"
    data = await content(ann, made)
    assert SECRET not in data
    with Image.open(io.BytesIO(data)) as picture:
        assert not picture.getexif()
        assert picture.size == size
        corner = picture.convert("RGB").getpixel((size[0] - 4, size[1] - 4))
    assert corner == pytest.approx((255, 255, 255), abs=12)
    if size == (WIDTH, HEIGHT):
        check_upright(data, grey=False)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_stripped_picture_keeps_its_own_data(ann: Api, kind: str) -> None:
    """Words and place are gone; every pixel is as it was, and is shown as it was held."""
    data = turned(8, kind)
    item = await item_of(ann, data, f"photo.{kind.lower()}")
    made = await process(ann, item, type="strip")
    assert (made["width"], made["height"]) == (WIDTH, HEIGHT)
    stripped = await content(ann, made)
    assert SECRET not in stripped
    with Image.open(io.BytesIO(stripped)) as after, Image.open(io.BytesIO(data)) as before:
        assert dict(after.getexif()) == {ORIENTATION: 8}
        assert after.tobytes() == before.tobytes()


@pytest.mark.parametrize("kind", ["GIF", "AVIF", "HEIF"])
async def test_a_picture_that_is_stripped_anew_looks_the_same(ann: Api, kind: str) -> None:
    """What carries its metadata among its data is encoded again, upright and without it."""
    data = still(kind) if kind == "GIF" else still(kind, exif=exif())
    item = await item_of(ann, data, f"photo.{kind.lower()}")
    stripped = await content(ann, await process(ann, item, type="strip"))
    assert SECRET not in stripped
    check_upright(stripped, grey=False)


async def test_a_moving_picture_keeps_moving(ann: Api) -> None:
    """Every frame of a GIF is resized, with its time, and told."""
    item = await item_of(ann, animated("GIF"), "a.gif")
    made = await process(ann, item, type="resize", width=48)
    with Image.open(io.BytesIO(await content(ann, made))) as picture:
        assert (picture.format, getattr(picture, "n_frames", 1)) == ("WEBP", 3)
        picture.load()
        assert picture.info["duration"] == 100


def opened(data: bytes) -> tuple[str, float, int, int]:
    """Return codec, seconds, frames and sounding streams of a film, by decoding it."""
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        assert isinstance(stream, VideoStream)
        frames = [frame.time for frame in container.decode(stream)]
        seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        return stream.codec_context.codec.canonical_name, seconds, len(frames), len(container.streams.audio)


@pytest.mark.parametrize(
    ("codec", "content_type"),
    [("h264", "video/mp4"), ("hevc", "video/mp4"), ("av1", "video/mp4"), ("vp9", "video/webm")],
)
async def test_a_film_is_transcoded(ann: Api, codec: str, content_type: str) -> None:
    """A turned film comes out upright, in the codec and height asked for, with every frame and its sound."""
    item = await item_of(ann, film(rotation=90, sound=True), "a.mp4")
    rate = {} if codec == "av1" else {"bitrate": 200_000}
    made = await process(ann, item, type="transcode", codec=codec, height=32, **rate)
    assert (made["contentType"], made["width"], made["height"]) == (content_type, 48, 32)
    found, _, frames, sounds = opened(await content(ann, made))
    assert (found, frames, sounds) == (codec, 24, 1)
    assert made["duration"] == pytest.approx(2.0, abs=0.1)


async def test_frames_are_told_as_they_are_encoded(ann: Api) -> None:
    """Progress counts frames that are done, of those there are."""
    item = await item_of(ann, film(frames=240), "a.mp4")
    async with ann.events() as stream:
        await begin(
            ann, "/media/process", path=item["path"], operation={"type": "transcode", "codec": "hevc"}
        )
        frames: list[Frame] = await stream.until("process_complete")
    states = [frame.name for frame in frames if frame.id]
    assert states[-3:] == ["job_queued", "process_started", "process_complete"]
    told = [frame.data for frame in frames if frame.name == "process_progress"]
    assert told[-1]["message"] == "frame 240 of 240"
    assert told[-1]["progress"] == 99.0
    counted = [each["progress"] for each in told]
    assert counted == sorted(counted)


async def test_a_film_is_cut_to_the_frame(ann: Api) -> None:
    """From half a second to one and a half there are twelve frames, and sound as long."""
    item = await item_of(ann, film(sound=True), "a.mp4")
    made = await process(ann, item, type="trim", start=0.5, end=1.5)
    _, seconds, frames, sounds = opened(await content(ann, made))
    assert (frames, sounds) == (12, 1)
    assert seconds == pytest.approx(1.0, abs=0.09)


@pytest.mark.parametrize("kind", ["mp4", "mov", "webm"])
async def test_a_stripped_film_keeps_its_frames(ann: Api, kind: str) -> None:
    """The words and the place of a film are gone, its packets are the same, and it is still upright."""
    data = (
        film("libvpx-vp9", "webm", sound=True) if kind == "webm" else film(kind=kind, rotation=90, sound=True)
    )
    item = await item_of(ann, data, f"a.{kind}")
    made = await process(ann, item, type="strip")
    stripped = await content(ann, made)
    assert SECRET in data
    assert SECRET not in stripped
    assert b"+52.5" not in stripped
    assert packets(stripped) == packets(data)
    assert (made["contentType"], made["width"]) == (item["contentType"], WIDTH)
    check_upright((await ann.http.get(made["thumbnailUrl"])).content, grey=False)


def packets(data: bytes) -> list[bytes]:
    with av.open(io.BytesIO(data), "r") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


async def test_a_poster_is_the_frame_at_its_second(ann: Api) -> None:
    """The poster of a turned film is upright; a thumbnail of a film is small."""
    item = await item_of(ann, film(rotation=270), "a.mp4")
    poster = await process(ann, item, type="poster", at=1.0)
    assert (poster["contentType"], poster["width"], poster["name"]) == ("image/jpeg", WIDTH, "a-poster.jpeg")
    check_upright(await content(ann, poster), grey=False)
    small = await process(ann, item, type="thumbnail", size=48)
    assert (small["contentType"], small["width"]) == ("image/webp", 48)


@pytest.mark.parametrize(
    "operation",
    [
        {"type": "poster"},
        {"type": "trim", "start": 0, "end": 1},
        {"type": "transcode", "codec": "h264"},
        {"type": "crop", "x": 90, "y": 0, "width": 10, "height": 10},
    ],
)
async def test_what_a_picture_cannot_do_is_refused(ann: Api, operation: Wire) -> None:
    """An operation that the item cannot take is told at once."""
    item = await item_of(ann, still("PNG"))
    answer = await ann.ask("POST", "/media/process", {"path": item["path"], "operation": operation})
    assert read_problem(answer) == (422, "operation_refused")


@pytest.mark.parametrize(
    "operation",
    [
        {"type": "resize", "width": 5},
        {"type": "convert", "format": "png"},
        {"type": "poster", "at": 2.5},
        {"type": "trim", "start": 3, "end": 4},
    ],
)
async def test_what_a_film_cannot_do_is_refused(ann: Api, operation: Wire) -> None:
    """A picture's operation, or a second past the end, is told at once."""
    item = await item_of(ann, film(), "a.mp4")
    answer = await ann.ask("POST", "/media/process", {"path": item["path"], "operation": operation})
    assert read_problem(answer) == (422, "operation_refused")


@pytest.mark.parametrize(
    "operation",
    [
        {"type": "resize"},
        {"type": "resize", "width": 0},
        {"type": "resize", "width": 100_000},
        {"type": "trim", "start": 2, "end": 1},
        {"type": "convert", "format": "svg"},
        {"type": "explode"},
        {"type": "strip", "extra": 1},
    ],
)
async def test_an_operation_that_is_none_is_refused(ann: Api, operation: Wire) -> None:
    """A field that is missing, unknown or out of range is told at once."""
    answer = await ann.ask("POST", "/media/process", {"path": "media/x", "operation": operation})
    assert read_problem(answer) == (422, "invalid_request")


async def test_only_ones_own_items_can_be_processed(program: Running, ann: Api) -> None:
    """Another user's item is as good as missing."""
    item = await item_of(ann, still("PNG"))
    body = {"path": item["path"], "operation": {"type": "strip"}}
    assert read_problem(await program.user("bob").ask("POST", "/media/process", body)) == (
        404,
        "media_not_found",
    )
