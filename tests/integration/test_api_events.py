"""`GET /events` over the whole program: nothing missed, nothing twice, nothing of anybody else."""

from __future__ import annotations

from uuid import uuid4

import pytest

from media_pipeline.realtime.sse import Decoder
from tests.integration.program import TERMINAL, Api, Frame, Running, picture

pytestmark = pytest.mark.asyncio(loop_scope="module")


def states(frames: list[Frame]) -> list[Frame]:
    """The events that change state; `ready` only says where the stream stands."""
    return [frame for frame in frames if frame.id is not None and frame.name != "ready"]


async def record(api: Api) -> tuple[bytes, list[Frame]]:
    """Live through two generations, an upload and a deletion with the stream open."""
    async with api.events() as stream:
        frames = [await stream.next()]
        for _ in range(2):
            await api.generate()
            frames += await stream.until(*TERMINAL)
        permission = await api.init(filename="a.png", contentType="image/png")
        await api.put(permission, picture())
        await api.complete(permission)
        frames += await stream.until(*TERMINAL)
        await api.ask("DELETE", f"/media/{permission['objectPath']}")
        frames += await stream.until("media_deleted")
        return stream.raw, frames


async def test_whoever_returns_misses_and_repeats_nothing(api: Api) -> None:
    """From every frame of a recorded session, `Last-Event-ID` brings exactly the state events after it."""
    _, frames = await record(api)
    session = states(frames)
    assert [frame.name for frame in session][-3:] == ["upload_started", "upload_complete", "media_deleted"]
    position, seen = None, 0
    for frame in frames[:-1]:
        position, seen = frame.id or position, seen + (frame in session)
        async with api.events(since=position) as stream:
            assert await stream.until("media_deleted") == session[seen:]


async def test_returning_to_one_job_misses_nothing_of_it(api: Api) -> None:
    """A position narrows with `jobId`, too: the rest of that job comes, and nothing of another."""
    _, frames = await record(api)
    session = states(frames)
    first = session[0].data["jobId"]
    async with api.events(f"?jobId={first}", since=session[0].id) as stream:
        rest = await stream.until(*TERMINAL)
    assert rest == [frame for frame in session[1:] if frame.data.get("jobId") == first]


async def test_two_readings_of_the_bytes_agree(api: Api) -> None:
    """Our decoder and one written from the standard by hand see the same events in the same bytes."""
    raw, frames = await record(api)
    decoded = Decoder().feed(raw)
    assert [(event.event, event.id) for event in decoded] == [(frame.name, frame.id) for frame in frames]


async def test_an_ended_job_is_shown_to_who_comes_late(api: Api) -> None:
    """`/events?jobId=` opened after the end shows each state once, the terminal one last, then `ready`."""
    job_id = await api.generate()
    live = await api.history(job_id)
    async with api.events(f"?jobId={job_id}") as stream:
        late = await stream.until("ready")
    assert [frame.name for frame in late] == [
        "job_queued",
        "generation_started",
        "generation_complete",
        "ready",
    ]
    assert late[-2].data == live[-1].data


async def test_an_ended_upload_is_shown_to_who_comes_late(api: Api) -> None:
    """An upload that ended shows its start and its end, with URL and path."""
    permission = await api.upload(picture())
    started, complete = await api.history(permission["jobId"])
    assert (started.name, complete.name) == ("upload_started", "upload_complete")
    assert complete.data["result"]["path"] == permission["objectPath"]
    assert (await api.http.get(complete.data["result"]["url"])).status_code == 200


async def test_nobody_sees_anothers_events(service: Running, api: Api) -> None:
    """Two users who work at once each see only jobs of their own."""
    other = service.user(f"user-{uuid4().hex}")
    async with api.events() as mine, other.events() as theirs:
        made = {user: [await user.generate() for _ in range(3)] for user in (api, other)}
        for user, stream in ((api, mine), (other, theirs)):
            frames: list[Frame] = []
            for _ in range(3):
                frames += await stream.until("generation_complete")
            assert {frame.data["jobId"] for frame in frames if frame.name != "ready"} == set(made[user])


async def test_a_position_of_another_user_shows_nothing_of_theirs(service: Running, api: Api) -> None:
    """A foreign `Last-Event-ID` may reset the stream, but never brings the other's events."""
    async with api.events() as stream:
        position = (await stream.next()).id
    await api.end(await api.generate())
    stranger = service.user(f"user-{uuid4().hex}")
    async with stranger.events(since=position) as stream:
        assert (await stream.next()).name in {"ready", "reset"}
        own = await stranger.generate()
        frames = await stream.until("generation_complete")
    assert {frame.data["jobId"] for frame in frames if "jobId" in frame.data} == {own}
