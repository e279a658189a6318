"""Providers that fail in every way, and what their users see of it."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from media_pipeline.db.statements import Statement
from media_pipeline.generation.provider import (
    Advanced,
    CancelOutcome,
    ErrorCode,
    GenerationRequest,
    Handle,
    ModelInfo,
    Output,
    Preview,
    ProviderEvent,
    Queued,
    Running,
    Submitted,
    Submitting,
    Usage,
)
from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.job import NewJob
from tests.integration.program import (
    TERMINAL,
    Api,
    LeapingClock,
    Script,
    Scripted,
    Wire,
    failing,
    output,
    picture,
    read_problem,
    running,
)
from tests.integration.program import Running as Service

GOOD = [output()]


def errors(job: Wire) -> list[str | None]:
    return [attempt["error"] for attempt in job["attempts"]]


async def generated(service: Service, **body: object) -> tuple[Api, Wire]:
    """Generate one image as ann and return her and the ended job."""
    api = service.user("ann")
    job_id = await api.generate(**body)
    await api.end(job_id)
    return api, await api.job(job_id)


async def is_whole(service: Service, api: Api, job: Wire) -> bool:
    """Check that a succeeded job has one row for each result, and each row exactly its bytes."""
    items = job["result"]["items"]
    listed = await api.items()
    assert sorted(item["path"] for item in listed) == sorted(item["path"] for item in items)
    for item in listed:
        data = (await api.http.get(item["url"])).content
        assert len(data) == item["size"]
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            assert picture.size == (item["width"], item["height"])
    kept = [path for path in await service.objects(api) if path.startswith("media/")]
    assert sorted(kept) == sorted(item["path"] for item in items)
    return True


@pytest.mark.parametrize("reason", [ErrorCode.AUTH, ErrorCode.QUOTA, ErrorCode.GONE, ErrorCode.UNSUPPORTED])
async def test_the_next_provider_takes_over(reason: ErrorCode) -> None:
    """A provider that cannot serve us is left at once for the next; `attempts` shows both."""
    first, second = Scripted("one", [[failing(reason)]]), Scripted("two", [GOOD])
    async with running(providers=[first, second]) as service:
        api, job = await generated(service)
        assert job["state"] == "succeeded"
        assert job["result"]["provider"] == "two"
        assert [(each["number"], each["provider"]) for each in job["attempts"]] == [(1, "one"), (2, "two")]
        assert errors(job) == [f"It failed: {reason}.", None]
        assert first.calls == 1
        assert await is_whole(service, api, job)


@pytest.mark.parametrize(
    "reason", [ErrorCode.POLICY_INPUT, ErrorCode.POLICY_OUTPUT, ErrorCode.INVALID_REQUEST]
)
async def test_a_refusal_of_the_content_is_final(reason: ErrorCode) -> None:
    """What was refused for its content is asked once, of nobody else, and says so."""
    first, second = Scripted("one", [[failing(reason)]]), Scripted("two", [GOOD])
    async with running(providers=[first, second]) as service:
        api, job = await generated(service)
        assert job["error"] == {"error": f"It failed: {reason}.", "code": reason, "retryable": False}
        end = await api.end(job["jobId"])
        assert (end.name, end.data) == ("generation_failed", {"jobId": job["jobId"], **job["error"]})
        assert (first.calls, second.calls) == (1, 0)
        assert await service.objects(api) == []


async def test_a_passing_failure_is_tried_again() -> None:
    """An overloaded provider is asked again, and the second answer is the result."""
    provider = Scripted(scripts=[[failing(ErrorCode.OVERLOADED)], GOOD])
    async with running(providers=[provider]) as service:
        api, job = await generated(service)
        assert errors(job) == ["It failed: overloaded.", None]
        assert await is_whole(service, api, job)


async def test_a_run_that_failed_is_run_again_later() -> None:
    """When a run's attempts are used up the job waits and runs again; its start is told once."""
    clock = LeapingClock()
    provider = Scripted(scripts=[[failing(ErrorCode.OVERLOADED)]] * 3 + [GOOD])
    async with running(providers=[provider], clock=clock) as service:
        api = service.user("ann")
        async with api.events() as stream:
            job_id = await api.generate()
            ended = asyncio.create_task(stream.until(*TERMINAL))
            while not ended.done():  # back-offs of half a second, of seconds: none is waited for
                clock.leap(1)
                service.program.doorbell.ring("schedule")
                await api.job(job_id)
        names = [frame.name for frame in await ended]
        assert names.count("generation_started") == 1
        job = await api.job(job_id)
        assert len(errors(job)) == 4
        assert await is_whole(service, api, job)


async def test_a_failure_without_end_ends_the_job() -> None:
    """A provider that never serves fails its job after a bounded number of runs, as retryable."""
    clock = LeapingClock()
    provider = Scripted(scripts=[[failing(ErrorCode.OVERLOADED)]])
    async with running(providers=[provider], clock=clock) as service:
        api = service.user("ann")
        job_id = await api.generate()
        ended = asyncio.create_task(api.end(job_id))
        while not ended.done():
            clock.leap(10)
            service.program.doorbell.ring("schedule")
            await api.job(job_id)
        assert (await ended).data["code"] == "overloaded"
        assert (await api.job(job_id))["error"]["retryable"] is True
        assert len((await api.job(job_id))["attempts"]) == 15
        assert 5 <= provider.calls < 15, "a provider that fails in a row rests"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([RuntimeError("bug")], id="raises what it should not"),
        pytest.param([Output(index=0, content_type="image/png", data=b"no picture")], id="not a picture"),
        pytest.param([Output(index=0, content_type="image/png")], id="no bytes"),
        pytest.param(
            [Output(index=5, content_type="image/png", data=picture())], id="an index not asked for"
        ),
        pytest.param([], id="nothing"),
    ],
)
async def test_nonsense_never_becomes_a_result(script: Script) -> None:
    """A provider that breaks its promise leaves no object, and a later answer is taken."""
    clock = LeapingClock()
    async with running(providers=[Scripted(scripts=[script, GOOD])], clock=clock) as service:
        api = service.user("ann")
        job_id = await api.generate()
        ended = asyncio.create_task(api.end(job_id))
        while not ended.done():
            clock.leap(1)
            service.program.doorbell.ring("schedule")
            await api.job(job_id)
        assert (await ended).name == "generation_complete"
        assert await is_whole(service, api, await api.job(job_id))


async def test_a_failure_after_a_result_keeps_only_the_last() -> None:
    """Bytes of an attempt that failed later are overwritten by the one that succeeded."""
    broken: Script = [output(0), failing(ErrorCode.OVERLOADED)]
    provider = Scripted(scripts=[broken, broken, [output(0), output(1)]])
    async with running(providers=[provider]) as service:
        api, job = await generated(service, n=2)
        assert len(job["result"]["items"]) == 2
        assert await is_whole(service, api, job)


async def test_a_worker_thought_dead_persists_nothing_late() -> None:
    """A run that goes on after its lease was given away writes nothing: the other run's result stays."""
    go = asyncio.Event()
    provider = Scripted(scripts=[[go, output()], GOOD], stubborn=True)
    async with running(providers=[provider]) as service:
        api = service.user("ann")
        job_id = await api.generate()
        await provider.began.wait()
        await service.program.queue.retire(service.program.worker.id)
        service.program.doorbell.ring("schedule")
        first = await api.end(job_id)
        await provider.over.get()
        go.set()
        await provider.over.get()
        job = await api.job(job_id)
        assert job["result"] == first.data["result"]
        assert await is_whole(service, api, job)
        history = [frame.name for frame in await api.history(job_id)]
        assert history == ["job_queued", "generation_started", "generation_complete"]


async def test_what_the_provider_says_is_what_is_told() -> None:
    """Where no number is known `progress` is null and the message says what is; a number has its unit."""
    parts: list[ProviderEvent] = [
        Queued(3),
        Running(),
        Advanced(2, 8, "step"),
        Advanced(8, 8, "step"),
        output(),
    ]
    gates = [asyncio.Event() for _ in parts]
    script: list[ProviderEvent | asyncio.Event] = []
    for part, gate in zip(parts, gates, strict=True):
        script += [part, gate]
    async with running(providers=[Scripted(scripts=[script])]) as service:
        api = service.user("ann")
        async with api.events() as stream:
            await api.generate()
            told = []
            for gate in gates:
                frame = (await stream.until("generation_progress"))[-1]
                told.append((frame.data["progress"], frame.data["message"]))
                gate.set()
            await stream.until("generation_complete")
    assert told == [
        (None, "queued at provider, position 3"),
        (None, "provider is working"),
        (25.0, "step 2 of 8"),
        (99.0, "step 8 of 8"),
        (99.0, "stored"),
    ]


async def test_a_taken_job_is_never_asked_for_twice() -> None:
    """A submit whose fate is unknown is not repeated, here or elsewhere: it may have cost money."""
    first = Scripted("one", [[Submitting(), failing(ErrorCode.TIMEOUT)]])
    second = Scripted("two", [GOOD])
    async with running(providers=[first, second]) as service:
        _, job = await generated(service)
        assert (job["state"], job["error"]["code"]) == ("failed", "submitted_unknown")
        assert (first.calls, second.calls) == (1, 0)


async def test_a_taken_job_is_found_again() -> None:
    """A job that a provider took is followed by its handle when the connection breaks."""
    taken: Script = [Submitting(), Submitted({"id": "42"}), failing(ErrorCode.NETWORK)]
    provider = Scripted(scripts=[taken, GOOD])
    async with running(providers=[provider]) as service:
        api, job = await generated(service)
        assert errors(job) == [None]
        assert await is_whole(service, api, job)


@dataclass
class Restless(Scripted):
    """Gives other bytes on every call, with previews, and fails at another place each time."""

    async def _play(self, script: object) -> AsyncGenerator[ProviderEvent, None]:
        turn = self.calls
        yield Preview(0, picture(kind="WEBP"), "image/webp")
        for index in range(2):
            if turn == index + 1:
                raise failing(ErrorCode.PROVIDER)
            yield output(index)

    def generate(self, request: GenerationRequest, model: ModelInfo) -> AsyncGenerator[ProviderEvent, None]:
        self.calls += 1
        return self._play(())


async def test_other_bytes_on_every_call_give_one_result() -> None:
    """However often a provider is asked, exactly one result is persisted, and its rows are its objects."""
    async with running(providers=[Restless()]) as service:
        api, job = await generated(service, n=2)
        assert [attempt["error"] is None for attempt in job["attempts"]] == [False, False, True]
        assert await is_whole(service, api, job)


async def test_three_providers_and_three_attempts() -> None:
    """A dead first provider, an overloaded second and a good third: the third's result, three attempts."""
    dead = Scripted("dead", [[failing(ErrorCode.NETWORK)]])
    busy = Scripted("busy", [[Submitting(), failing(ErrorCode.OVERLOADED, retry_after=3)]])
    good = Scripted("good", [GOOD])
    async with running(providers=[dead, busy, good]) as service:
        api, job = await generated(service)
        assert [each["provider"] for each in job["attempts"]] == ["dead", "busy", "good"]
        assert errors(job) == ["It failed: network.", "It failed: overloaded.", None]
        assert job["result"]["provider"] == "good"
        assert await is_whole(service, api, job)


@dataclass
class Stoppable(Scripted):
    """Says what it was asked to stop."""

    stopped: list[Handle] = field(default_factory=list)

    async def cancel(self, handle: Handle) -> CancelOutcome:
        self.stopped.append(handle)
        return "requested"


TAKEN: Script = [Submitting(), Submitted({"id": "42"}), Running()]


async def test_a_cancel_reaches_the_provider() -> None:
    """A job that is cancelled is stopped where it runs, and its attempt tells what was answered."""
    provider = Stoppable(scripts=[[*TAKEN, asyncio.Event()]])
    async with running(providers=[provider]) as service:
        api = service.user("ann")
        async with api.events() as stream:
            job_id = await api.generate()
            await stream.until("generation_progress")
            assert (await api.ask("POST", f"/jobs/{job_id}/cancel")).status_code == 202
            await stream.until("job_cancelled")
        [attempt] = (await api.job(job_id))["attempts"]
        assert (provider.stopped, attempt["cancel"]) == ([{"id": "42"}], "requested")


async def test_a_cancel_between_two_runs_reaches_the_provider() -> None:
    """A job that waits for another run while a provider has it is stopped there, too."""
    provider = Stoppable()
    taken = [{"number": 1, "provider": "one", "model": "still", "started_at": 1.0}]
    taken[0] |= {"submitting": True, "handle": {"id": "42"}}
    async with running(providers=[provider]) as service:
        api, queue = service.user("ann"), service.program.queue
        job_id = JobId("waiting")
        await queue.enqueue(
            NewJob(
                id=job_id,
                user_id=UserId("ann"),
                kind="generate.image",
                payload={"prompt": "x"},
                run_at=time.time() + 3600,
            )
        )
        note = Statement("note", "UPDATE jobs SET attempts = :attempts WHERE id = :id")
        await service.program.database.execute(note, {"attempts": json.dumps(taken), "id": job_id})
        assert (await api.ask("POST", f"/jobs/{job_id}/cancel")).status_code == 202
        assert (await api.end(job_id)).name == "job_cancelled"
        async with api.events() as stream:
            while (cancelled := (await api.job(job_id))["attempts"][0].get("cancel")) is None:
                await stream.until("job_cancelled")
        assert (provider.stopped, cancelled) == ([{"id": "42"}], "requested")


async def test_a_retry_of_an_expired_result_warns_of_a_second_charge() -> None:
    """A result that was made, and gone before it could be fetched, is paid anew only with consent."""
    taken: Script = [Submitting(), Submitted({"id": "42"}), failing(ErrorCode.EXPIRED)]
    provider = Scripted(scripts=[taken, GOOD])
    async with running(providers=[provider]) as service:
        api, job = await generated(service)
        assert (job["state"], job["error"]["code"]) == ("failed", "result_expired")
        assert job["error"]["retryable"] is False
        refused = await api.ask("POST", f"/jobs/{job['jobId']}/retry")
        assert read_problem(refused) == (409, "may_be_charged")
        assert provider.calls == 1
        again = await api.ask("POST", f"/jobs/{job['jobId']}/retry?acceptCharge=true")
        assert (await api.end(again.json()["jobId"])).name == "generation_complete"


async def test_a_retry_of_a_refusal_warns_of_nothing() -> None:
    """What a provider refused was not charged: a retry by hand needs no consent."""
    provider = Scripted(scripts=[[Submitting(), failing(ErrorCode.POLICY_INPUT)], GOOD])
    async with running(providers=[provider]) as service:
        api, job = await generated(service)
        again = await api.ask("POST", f"/jobs/{job['jobId']}/retry")
        assert (await api.end(again.json()["jobId"])).name == "generation_complete"


async def test_a_cancel_of_local_work_asks_nobody() -> None:
    """What no provider has taken is stopped here alone."""
    provider = Stoppable(scripts=[[Running(), asyncio.Event()]])
    async with running(providers=[provider]) as service:
        api = service.user("ann")
        async with api.events() as stream:
            job_id = await api.generate()
            await stream.until("generation_progress")
            await api.ask("POST", f"/jobs/{job_id}/cancel")
            await stream.until("job_cancelled")
        assert provider.stopped == []


async def test_a_job_past_its_deadline_is_stopped_at_its_provider() -> None:
    """A job that takes too long fails as `deadline`, is stopped where it runs and not begun again."""
    provider = Stoppable(scripts=[[*TAKEN, asyncio.Event()]])
    async with running(providers=[provider], media_job_seconds=1.5) as service:
        _, job = await generated(service)
        assert job["error"]["code"] == "deadline"
        assert job["error"]["retryable"] is False
        assert (provider.stopped, provider.calls) == ([{"id": "42"}], 1)
        assert job["attempts"][0]["cancel"] == "requested"


async def test_what_was_made_while_the_program_was_away_is_fetched(tmp_path: Path) -> None:
    """A job that its provider took is fetched after any time away; only a run has an end."""
    named: dict[str, Any] = {"storage_dir": tmp_path, "auth_jwt_secret": "s" * 40, "media_job_seconds": 60}
    provider = Stoppable(scripts=[[*TAKEN, asyncio.Event()], GOOD])
    async with (
        running(providers=[provider], media_grace_seconds=0, **named) as service,
        service.user("ann").events() as stream,
    ):
        job_id = await service.user("ann").generate()
        await stream.until("generation_progress")
    clock = LeapingClock()
    clock.leap(3600)
    async with running(providers=[provider], clock=clock, **named) as service:
        assert (await service.user("ann").end(job_id)).name == "generation_complete"
    assert (provider.calls, provider.stopped) == (2, [])


async def test_a_result_that_nobody_asked_for_is_left() -> None:
    """A workflow that makes more than one result loses none that was asked for."""
    provider = Scripted(scripts=[[output(0), output(1), output(2)]])
    async with running(providers=[provider]) as service:
        api, job = await generated(service, n=2)
        assert [item["path"][-5:] for item in job["result"]["items"]] == ["0.png", "1.png"]
        assert await is_whole(service, api, job)


async def test_a_retry_warns_of_a_second_charge() -> None:
    """A job whose submit may have been taken is made again by hand only with a second charge accepted."""
    provider = Scripted(scripts=[[Submitting(), failing(ErrorCode.TIMEOUT)], GOOD])
    async with running(providers=[provider]) as service:
        api, job = await generated(service)
        refused = await api.ask("POST", f"/jobs/{job['jobId']}/retry")
        assert read_problem(refused) == (409, "may_be_charged")
        assert "acceptCharge=true" in refused.json()["detail"]
        again = await api.ask("POST", f"/jobs/{job['jobId']}/retry?acceptCharge=true")
        assert (await api.end(again.json()["jobId"])).name == "generation_complete"


async def test_what_it_took_stands_with_the_job() -> None:
    """Usage and cost that a provider reports are in the result."""
    script: Script = [output(), Usage({"predict_time": 1.25}, cost_usd=0.04)]
    async with running(providers=[Scripted(scripts=[script])]) as service:
        _, job = await generated(service)
        assert (job["result"]["usage"], job["result"]["cost"]) == ({"predict_time": 1.25}, 0.04)
