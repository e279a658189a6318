"""`POST /generate/*` from the request to the file."""

from __future__ import annotations

import io

import av
import pytest
from PIL import Image

from tests.integration.program import Api, Frame, Running, Wire, read_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")

ITEM = {
    "path": str,
    "url": str,
    "contentType": str,
    "size": int,
    "createdAt": str,
    "kind": str,
    "source": str,
    "name": str,
    "width": int,
    "height": int,
    "thumbnailUrl": str,
    "thumbnails": list,
    "thumbhash": str,
    "jobId": str,
    "prompt": str,
    "model": str,
    "seed": int,
}
"""What a generated image's `MediaItem` holds."""

JOB = {
    "jobId": str,
    "kind": str,
    "state": str,
    "progress": float,
    "message": str,
    "attempts": list,
    "createdAt": str,
    "startedAt": str,
    "finishedAt": str,
    "result": dict,
    "request": dict,
}
"""What a succeeded `Job` holds."""


def has_shape(wire: Wire, shape: dict[str, type]) -> bool:
    """Tell whether the fields that are not null are these, each of its type."""
    types = {name: type(value) for name, value in wire.items() if value is not None}
    assert types == shape
    return True


def numbers(frames: list[Frame]) -> list[float]:
    told = [frame.data["progress"] for frame in frames if frame.name == "generation_progress"]
    return [number for number in told if number is not None]


async def test_an_image_goes_from_request_to_url(service: Running, api: Api) -> None:
    """A POST answers 202 with a job whose events rise truly and end with a URL that gives the PNG."""
    async with api.events() as stream:
        assert (await stream.next()).name == "ready"
        # Large, so that drawing takes longer than the pace at which progress is told, on any machine.
        body = {"prompt": "a lighthouse at dawn", "seed": 5, "width": 2048, "height": 2048}
        answer = await api.ask("POST", "/generate/image", body)
        assert answer.status_code == 202
        job_id = answer.json()["jobId"]
        assert answer.json() == {"jobId": job_id}
        assert answer.headers["location"] == f"/jobs/{job_id}"
        frames = await stream.until("generation_complete")
    assert {frame.data["jobId"] for frame in frames} == {job_id}
    named = [frame.name for frame in frames]
    assert named[:2] == ["job_queued", "generation_started"]
    assert set(named[2:-1]) == {"generation_progress", "generation_preview"}
    assert all((frame.id is None) == (frame.name in set(named[2:-1])) for frame in frames)
    told = numbers(frames)
    assert len(set(told)) >= 3
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] == 99.0
    result = frames[-1].data["result"]
    assert set(result) == {"items", "provider", "model", "seed"}
    assert (result["provider"], result["seed"]) == ("procedural", 5)
    (item,) = result["items"]
    assert has_shape(item, ITEM)
    assert item["path"] == f"media/{api.user}/images/{job_id}_0.png"
    picture = await api.http.get(item["url"])
    assert picture.headers["content-type"] == "image/png"
    assert len(picture.content) == item["size"]
    with Image.open(io.BytesIO(picture.content)) as image:
        assert (image.format, image.size) == ("PNG", (item["width"], item["height"]))


async def test_a_picture_says_where_it_comes_from(api: Api) -> None:
    """The PNG's text and XMP carry prompt, seed, provider, model and the digital source type."""
    job_id = await api.generate(prompt="a fjord, café ☕", seed=11)
    (item,) = (await api.end(job_id)).data["result"]["items"]
    with Image.open(io.BytesIO((await api.http.get(item["url"])).content)) as image:
        told = image.info
    assert (told["prompt"], told["seed"], told["provider"]) == ("a fjord, café ☕", "11", "procedural")
    assert told["model"] == item["model"]
    assert "digitalsourcetype/algorithmicMedia" in told["XML:com.adobe.xmp"]


async def test_previews_are_real_and_gone_after_the_end(service: Running, api: Api) -> None:
    """Partial pictures are WebP at URLs that answer while the job runs and leave nothing behind."""
    async with api.events() as stream:
        job_id = await api.generate(width=768, height=768)
        preview = (await stream.until("generation_preview"))[-1]
        assert (preview.data["jobId"], preview.data["index"]) == (job_id, 0)
        shown = await api.http.get(preview.data["url"])
        await stream.until("generation_complete")
    assert shown.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(shown.content)) as image:
        assert image.format == "WEBP"
    await settled(service, api, job_id)
    assert (await api.http.get(preview.data["url"])).status_code == 404
    assert await service.objects(api) == [
        f"media/{api.user}/images/{job_id}_0.png",
        *(f"derived/{api.user}/{job_id}/thumbnail_0_{rung}.webp" for rung in range(3)),
    ]


async def settled(service: Running, api: Api, job_id: str) -> None:
    """Wait until a job's leftovers are gone: cancelling it is refused only by then or before."""
    queue = service.program.queue
    for job in await queue.unsettled(older_than=0):
        await service.program.announcer.ended(job)
    assert job_id not in {job.id for job in await queue.unsettled(older_than=0)}


async def test_a_video_is_an_mp4_that_plays(api: Api) -> None:
    """The film stands at its path, has the sides, length and rate asked for, and decodes to its end."""
    job_id = await api.generate("video", prompt="waves", seconds=1, fps=12, seed=3)
    frames = await api.history(job_id)
    (item,) = frames[-1].data["result"]["items"]
    assert has_shape(item, {**ITEM, "duration": float})
    assert item["path"] == f"media/{api.user}/videos/{job_id}_0.mp4"
    assert (item["kind"], item["contentType"], item["duration"]) == ("video", "video/mp4", 1.0)
    film = await api.http.get(item["url"])
    with av.open(io.BytesIO(film.content), "r") as container:
        stream = container.streams.video[0]
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert (len(decoded), decoded[0].shape) == (12, (64, 64, 3))
    assert any((frame != decoded[0]).any() for frame in decoded)
    part = await api.http.get(item["url"], headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")


async def test_several_images_are_one_job(api: Api) -> None:
    """`n` = 3 gives three different pictures with the paths, seeds and names of one job."""
    job_id = await api.generate(n=3, seed=20)
    items = (await api.end(job_id)).data["result"]["items"]
    assert [item["path"] for item in items] == [
        f"media/{api.user}/images/{job_id}_{index}.png" for index in range(3)
    ]
    assert [item["seed"] for item in items] == [20, 21, 22]
    assert [item["name"] for item in items] == [f"a lighthouse ({index})" for index in (1, 2, 3)]
    assert len({(await api.http.get(item["url"])).content for item in items}) == 3


async def test_the_same_seed_gives_the_same_picture(api: Api) -> None:
    """Prompt and seed decide the pixels."""
    twice = [(await api.end(await api.generate(seed=9))).data["result"]["items"][0] for _ in range(2)]
    first, second = [
        Image.open(io.BytesIO((await api.http.get(item["url"])).content)).tobytes() for item in twice
    ]
    assert first == second


async def test_a_job_shows_what_was_asked_and_what_came(api: Api) -> None:
    """`GET /jobs/{jobId}` has every field of the contract, the request as sent and the result with URLs."""
    job_id = await api.generate(seed=1, n=2, priority="low")
    end = await api.end(job_id)
    job = await api.job(job_id)
    assert has_shape(job, JOB)
    assert (job["jobId"], job["kind"], job["state"]) == (job_id, "generate.image", "succeeded")
    assert job["progress"] == 100
    assert job["result"] == end.data["result"]
    assert job["request"] == {
        "prompt": "a lighthouse",
        "n": 2,
        "seed": 1,
        "width": 64,
        "height": 64,
        "priority": "low",
    }
    (attempt,) = job["attempts"]
    assert has_shape(
        attempt, {"number": int, "provider": str, "model": str, "startedAt": str, "endedAt": str}
    )
    assert job["createdAt"] <= job["startedAt"] <= attempt["startedAt"] <= attempt["endedAt"]


async def test_what_can_be_asked_for_is_told(api: Api) -> None:
    """`GET /providers` names each model with its sizes, durations and what it counts."""
    models = (await api.get("/providers"))["providers"]
    assert {(model["provider"], model["kind"]) for model in models} == {
        ("procedural", "image"),
        ("procedural", "video"),
    }
    for model in models:
        asked = {"provider": model["provider"], "model": model["model"]}
        job_id = await api.generate(model["kind"], **asked, **({"seconds": 0.5} if model["fps"] else {}))
        assert (await api.end(job_id)).data["result"]["model"] == model["model"]


async def test_a_picture_of_the_library_may_be_named(service: Running, api: Api) -> None:
    """`images` takes paths of the library; what the model cannot use is said before a job is made."""
    (item,) = (await api.end(await api.generate())).data["result"]["items"]
    body = {"prompt": "again", "images": [{"path": item["path"], "role": "init"}]}
    answer = await api.ask("POST", "/generate/image", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported")
    assert len((await api.get("/jobs"))["jobs"]) == 1


async def test_only_a_picture_may_be_named(api: Api) -> None:
    """A film is refused before anything is queued, with its name."""
    (film,) = (await api.end(await api.generate("video", seconds=0.5))).data["result"]["items"]
    body = {"prompt": "again", "images": [{"path": film["path"], "role": "reference"}]}
    answer = await api.ask("POST", "/generate/image", body)
    assert read_problem(answer) == (422, "invalid_request")
    assert film["name"] in answer.json()["detail"]
