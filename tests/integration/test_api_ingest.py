"""What becomes of every kind of file that is uploaded."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from tests.corpus import HEIGHT, QUARTERS, SAMPLES, SECRET, WIDTH, Bad, Good, Sample, bomb
from tests.integration.program import Api, Running, read_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")

GOOD = {name: sample for name, sample in SAMPLES.items() if isinstance(sample.answer, Good)}
BAD = {name: sample for name, sample in SAMPLES.items() if isinstance(sample.answer, Bad)}


async def send(api: Api, sample: Sample) -> tuple[str, str]:
    """Upload a file as a browser that knows no type; return how its job ended and why, and the path."""
    permission = await api.init(filename=sample.filename, contentType="")
    assert (await api.put(permission, sample.make())).status_code == 200
    answer = await api.complete(permission)
    end = await api.end(permission["jobId"])
    if answer.status_code != 200:
        assert read_problem(answer)[1] == end.data["code"]
    return str(end.data.get("code", end.name)), permission["objectPath"]


@pytest.mark.parametrize("name", GOOD)
async def test_a_good_file_gets_the_right_answer(api: Api, name: str) -> None:
    """Type, sides and length are those of the content, thumbnails are upright and carry nothing private."""
    sample = GOOD[name]
    answer = sample.answer
    assert isinstance(answer, Good)
    assert (await send(api, sample))[0] == "upload_complete"
    (item,) = await api.items()
    seen = (item["contentType"], item["width"], item["height"])
    assert seen == (answer.content_type, answer.width, answer.height)
    assert item["duration"] == (None if answer.duration is None else pytest.approx(answer.duration, abs=0.02))
    assert 20 < len(item["thumbhash"]) < 36
    original = await api.http.get(item["url"])
    assert original.headers["content-type"] == answer.content_type
    assert original.headers["content-disposition"].startswith(("inline", "attachment"))
    for rung in item["thumbnails"]:
        small = await api.http.get(rung["url"])
        assert small.headers["content-type"] == "image/webp"
        assert SECRET not in small.content
        check_upright(small.content, grey="16 bits" in name)


def check_upright(data: bytes, *, grey: bool) -> None:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert picture.size == (WIDTH, HEIGHT)
        assert not picture.getexif()
        assert not {"exif", "xmp", "icc_profile", "comment"} & picture.info.keys()
        for index, colour in enumerate(QUARTERS):
            place = WIDTH // 4 + index % 2 * WIDTH // 2, HEIGHT // 4 + index // 2 * HEIGHT // 2
            right = Image.new("RGB", (1, 1), colour).convert("L" if grey else "RGB").convert("RGB")
            is_ = picture.convert("RGB").crop((*place, place[0] + 1, place[1] + 1))
            assert max(ImageStat.Stat(ImageChops.difference(is_, right)).rms) < 40, index


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_file_is_refused_and_leaves_nothing(service: Running, api: Api, name: str) -> None:
    """A file that is not what it seems fails with its reason, and every byte of it is gone."""
    sample = BAD[name]
    assert isinstance(sample.answer, Bad)
    code, path = await send(api, sample)
    assert code == sample.answer.code
    assert await service.objects(api) == []
    assert await api.items() == []
    assert path.endswith(sample.filename)


async def test_a_large_picture_gets_a_ladder(api: Api) -> None:
    """Thumbnails of 1280, 512 and 256 pixels are offered, the one of 512 by itself."""
    out = io.BytesIO()
    Image.radial_gradient("L").resize((2000, 1500)).convert("RGB").save(out, "JPEG")
    await api.upload(out.getvalue(), filename="big.jpg", content_type="image/jpeg")
    (item,) = await api.items()
    assert [(rung["width"], rung["height"]) for rung in item["thumbnails"]] == [
        (1280, 960),
        (512, 384),
        (256, 192),
    ]
    assert item["thumbnailUrl"] == item["thumbnails"][1]["url"]


async def test_what_was_made_of_an_item_goes_with_it(service: Running, api: Api) -> None:
    """Deleting an item deletes its whole ladder."""
    await send(api, GOOD["orientation 6"])
    (item,) = await api.items()
    assert (await api.ask("DELETE", f"/media/{item['path']}")).status_code == 204
    assert await service.objects(api) == []


async def test_the_service_does_not_grow_with_what_it_decodes(service: Running, api: Api) -> None:
    """Pictures of 48 million pixels are decoded without their pixels in the service's memory."""
    data = bomb(8000, 6000)[:-12]  # a whole picture but for its end, so that every pixel is decoded
    await send(api, Sample("warm.png", lambda: data, Bad("bad_media")))
    before = resident()
    for _ in range(2):
        await send(api, Sample("big.png", lambda: data, Bad("bad_media")))
    assert resident() - before < 32 * 1024**2
    assert service.program.workshop.working == ()


def resident() -> int:
    """Return the bytes of this process in memory; the service runs in it."""
    fields = Path("/proc/self/statm").read_text("ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
