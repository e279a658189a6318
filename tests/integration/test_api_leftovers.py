"""Nothing stays behind that no row names, and nothing changes under a row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from media_pipeline.generation.provider import ErrorCode, Preview, ProviderError
from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.bus import BusError, Message
from media_pipeline.storage.paths import preview_path
from media_pipeline.storage.store import StoreError
from tests.integration.program import Api, Running, Scripted, failing, output, picture, read_object, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

PNG = {"filename": "a.png", "contentType": "image/png"}


async def test_outputs_that_a_later_attempt_did_not_make_are_removed() -> None:
    """A retry that brings fewer results leaves no object of the attempt before it."""
    busy = failing(ErrorCode.OVERLOADED)
    provider = Scripted(scripts=[[output(0), output(1), output(2), busy], [output(0)]])
    async with running(providers=[provider]) as service:
        api = service.user("ann")
        done = await api.end(await api.generate(n=3))
        assert done.name == "generation_complete"
        assert len(await api.items()) == 1
    assert len(await service.objects(api)) == 2


async def test_what_a_run_that_lost_its_job_wrote_late_is_removed(service: Running, api: Api) -> None:
    """A worker that stood still while another ended its job removes what it had just written, and no more."""
    program = service.program
    job_id = await api.generate()
    assert (await api.end(job_id)).name == "generation_complete"
    kept = await service.objects(api)
    late = preview_path(UserId(api.user), JobId(job_id), 0, number=9)
    await program.store.upload(late, b"late", "image/webp")
    await program.announcer.lost(await program.queue.get(JobId(job_id)))
    assert await service.objects(api) == kept


async def test_a_late_put_never_replaces_what_was_looked_into(service: Running, api: Api) -> None:
    """Bytes that were on their way when another PUT was completed are refused, and the picture stays."""
    first = picture()
    permission = await api.init(**PNG)
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"<script>"
        begun.set()
        await go.wait()
        yield b"</script>"

    late = asyncio.create_task(api.put(permission, slow()))
    await begun.wait()
    assert (await api.put(permission, first)).status_code == 200
    done = read_object(await api.complete(permission))
    assert (await api.end(permission["jobId"])).name == "upload_complete"
    go.set()
    assert (await late).status_code == 409
    assert (await api.http.get(done["url"])).content == first


async def test_a_lost_preview_costs_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A partial picture that cannot be shown is passed over; the provider is asked once."""
    provider = Scripted(scripts=[[Preview(0, picture(kind="WEBP"), "image/webp"), output(0)]])
    async with running(providers=[provider]) as service:
        publish = service.program.bus.publish

        async def deaf(message: Message) -> None:
            if b"generation_preview" in message.frame:
                raise BusError("nobody listens")
            await publish(message)

        monkeypatch.setattr(service.program.bus, "publish", deaf)
        api = service.user("ann")
        assert (await api.end(await api.generate())).name == "generation_complete"
        assert provider.calls == 1


async def test_a_text_that_cannot_be_written_changes_no_verdict() -> None:
    """A refusal whose words no database takes is still final, and not asked for again."""
    refusal = ProviderError(ErrorCode.POLICY_INPUT, "no \ud83d way", provider="one")
    provider = Scripted(scripts=[[refusal]])
    async with running(providers=[provider]) as service:
        api = service.user("ann")
        failed = await api.end(await api.generate())
        assert (failed.name, failed.data["code"]) == ("generation_failed", "content_policy_input")
        assert provider.calls == 1


async def test_a_refused_announcement_makes_no_job(api: Api) -> None:
    """A content type that no URL can be signed for is refused before anything is kept."""
    answer = await api.ask("POST", "/media/upload/init", {"filename": "a", "contentType": "image/png; a= "})
    assert answer.status_code == 422
    assert (await api.get("/jobs"))["jobs"] == []


async def test_a_deleted_upload_is_not_complete(api: Api) -> None:
    """`complete` does not hand out the address of what its owner has deleted."""
    permission = await api.upload(picture())
    assert (await api.ask("DELETE", f"/media/{permission['objectPath']}")).status_code == 204
    assert (await api.complete(permission)).status_code == 404


async def test_bytes_that_the_store_keeps_are_deleted_later(
    api: Api, service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion that the store cannot do now is done for its owner, and its bytes go when it can."""
    permission = await api.upload(picture())

    async def refuse(*_: object, **__: object) -> None:
        raise StoreError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(service.program.store, "delete", refuse)
        assert (await api.ask("DELETE", f"/media/{permission['objectPath']}")).status_code == 204
    assert await api.items() == []
    await service.program.library.finish_removals()
    assert await service.objects(api) == []


async def test_the_attempts_of_an_ended_job_have_ended() -> None:
    """A cancelled job shows no attempt that still goes on."""
    provider = Scripted(scripts=[[asyncio.Event()]])
    async with running(providers=[provider]) as service:
        api = service.user("ann")
        job_id = await api.generate()
        await provider.began.wait()
        await api.ask("POST", f"/jobs/{job_id}/cancel")
        assert (await api.end(job_id)).name == "job_cancelled"
        job = await api.job(job_id)
        assert [attempt["endedAt"] for attempt in job["attempts"]] == [job["finishedAt"]]
