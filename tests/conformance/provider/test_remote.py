"""What every adapter of a remote provider promises too: faults, resuming, cancelling."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

import pytest
import pytest_asyncio

from media_pipeline.generation.provider import (
    Advanced,
    ErrorCode,
    Handle,
    InputMedia,
    MediaProvider,
    ModelInfo,
    Output,
    ProgressKind,
    ProviderError,
    ProviderEvent,
    Queued,
    Role,
    Running,
    Submitted,
    Submitting,
)
from tests.servers.provider import ProviderServer, Stage
from tests.servers.web import CUT, HTML_PAGE, LOST, MALFORMED, Fault, as_json

from .engines import Bench
from .test_provider import asked, made

pytestmark = pytest.mark.asyncio(loop_scope="module")
STAGES: list[Stage] = ["queued", "running", "done"]


@pytest_asyncio.fixture(loop_scope="module")
async def server(bench: Bench) -> ProviderServer:
    """The fake behind the adapter, going on as it would by itself."""
    assert bench.server is not None
    bench.server.hold(None)
    bench.server.requests.clear()
    return bench.server


@pytest_asyncio.fixture(loop_scope="module")
async def resumable(server: ProviderServer) -> ProviderServer:
    """A fake whose jobs live on without a connection."""
    assert server.RESUMES
    return server


async def failure(provider: MediaProvider, model: ModelInfo) -> tuple[list[ProviderEvent], ProviderError]:
    """Return what was told before the failure, and the failure."""
    events: list[ProviderEvent] = []
    try:
        async with aclosing(provider.generate(asked(model), model)) as told:
            async for event in told:
                events.append(event)  # noqa: PERF401 - those before the error count
    except ProviderError as error:
        return events, error
    raise AssertionError("it went well")


async def taken(bench: Bench, model: ModelInfo) -> Handle:
    """Submit a job and return its handle; nothing follows it any more."""
    async with aclosing(bench.provider.generate(asked(model), model)) as events:
        async for event in events:
            if isinstance(event, Submitted):
                return event.handle
    raise AssertionError("never submitted")


async def resumed(bench: Bench, model: ModelInfo, handle: Handle) -> list[ProviderEvent]:
    async with aclosing(bench.provider.resume(asked(model), model, handle)) as events:
        return [await bench.fetch(event) if isinstance(event, Output) else event async for event in events]


async def reach(bench: Bench, server: ProviderServer, model: ModelInfo, stage: Stage) -> Handle:
    """Bring a new job to `stage` and return its handle."""
    server.hold(None if stage == "done" else stage)
    signs = {"queued": (Queued, Submitted), "running": (Running, Advanced), "done": (Output,)}[stage]
    handle = None
    async with aclosing(bench.provider.generate(asked(model), model)) as events:
        async for event in events:
            if isinstance(event, Submitted):
                handle = event.handle
            if handle is not None and isinstance(event, signs):
                return handle
    raise AssertionError(stage)


async def test_a_refusal_says_why(bench: Bench, server: ProviderServer, model: ModelInfo) -> None:
    """Every refusal of the provider, in its own form, has its reason and the wait it names."""
    for name, (fault, reason) in server.FAULTS.items():
        server.arm("submit", fault)
        before = server.billed
        events, error = await failure(bench.provider, model)
        assert (name, error.reason, error.provider) == (name, ErrorCode(reason), bench.provider.name)
        assert not any(isinstance(event, Submitted | Output) for event in events)
        assert server.billed == before
        assert fault.answer is not None
        asked_to_wait = fault.answer.headers.get("retry-after")
        assert error.retry_after == (float(asked_to_wait) if asked_to_wait else None)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(CUT, id="cut"),
        pytest.param(LOST, id="lost", marks=pytest.mark.long),
        pytest.param(MALFORMED, id="malformed", marks=pytest.mark.long),
        pytest.param(HTML_PAGE, id="html"),
    ],
)
async def test_a_lost_answer_is_not_a_refusal(
    fault: Fault, bench: Bench, server: ProviderServer, model: ModelInfo
) -> None:
    """Where the answer to a submit is lost, nothing says that the job was not taken."""
    server.arm("submit", fault)
    events, error = await failure(bench.provider, model)
    assert Submitting() in events
    assert error.reason in {ErrorCode.NETWORK, ErrorCode.TIMEOUT}
    assert error.sent


async def test_a_dead_provider_was_asked_nothing(
    bench: Bench, server: ProviderServer, model: ModelInfo
) -> None:
    """Where nobody listens the job was surely not taken, and another provider may be asked."""
    assert bench.dead is not None
    _, error = await failure(bench.dead, model)
    assert (error.reason, error.sent) == (ErrorCode.NETWORK, False)


async def test_a_bad_end_says_why(bench: Bench, server: ProviderServer, model: ModelInfo) -> None:
    """A job that ends without a result says why: a refusal of the content is told from a failure."""
    for ending, reason in server.ENDINGS.items():
        server.end_next(ending)
        events, error = await failure(bench.provider, model)
        assert (ending, error.reason) == (ending, ErrorCode(reason))
        assert not any(isinstance(event, Output) for event in events)


async def test_a_taken_job_is_paid_once(bench: Bench, server: ProviderServer, model: ModelInfo) -> None:
    """One generation is one billable submit, told before and after."""
    before = server.billed
    events = await made(bench, model, asked(model))
    assert server.billed == before + server.submits_of(1)
    assert any(isinstance(event, Submitting) for event in events)


async def test_a_job_is_followed_by_its_handle(
    bench: Bench, resumable: ProviderServer, model: ModelInfo
) -> None:
    """Another worker gets the result with the handle alone, without paying again."""
    request = asked(model, seed=7)
    async with aclosing(bench.provider.generate(request, model)) as events:
        handle = next(iter([event.handle async for event in events if isinstance(event, Submitted)]))
    before = resumable.billed
    outputs = [event for event in await resumed(bench, model, handle) if isinstance(event, Output)]
    assert [output.index for output in outputs] == [0]
    assert outputs[0].data
    assert outputs[0].seed == (7 if model.seed else None)
    assert resumable.billed == before


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(CUT, id="cut"),
        pytest.param(LOST, id="lost", marks=pytest.mark.long),
        pytest.param(MALFORMED, id="malformed", marks=pytest.mark.long),
        pytest.param(HTML_PAGE, id="html", marks=pytest.mark.long),
        pytest.param(Fault(as_json({"detail": "slow down"}, 429, retry_after="2")), id="throttled"),
        pytest.param(Fault(as_json({"detail": "busy"}, 503)), id="unavailable", marks=pytest.mark.long),
        pytest.param(Fault(as_json({"detail": "broken"}, 500)), id="internal", marks=pytest.mark.long),
    ],
)
async def test_following_outlives_short_troubles(
    fault: Fault, bench: Bench, resumable: ProviderServer, model: ModelInfo
) -> None:
    """A question that fails in passing is asked again, and the job still succeeds once."""
    before = resumable.billed
    resumable.arm("poll", fault, fault)
    events = await made(bench, model, asked(model))
    assert sum(isinstance(event, Output) for event in events) == 1
    assert resumable.billed == before + 1


async def test_a_job_that_stays_out_of_sight_can_be_resumed(
    bench: Bench, resumable: ProviderServer, model: ModelInfo
) -> None:
    """When the questions fail for long, the failure is one after which the job is looked for again."""
    resumable.arm("poll", *[LOST] * 6)
    _, error = await failure(bench.provider, model)
    assert error.reason is ErrorCode.NETWORK


async def test_a_forgotten_job_has_expired(bench: Bench, resumable: ProviderServer, model: ModelInfo) -> None:
    """A job that the provider does not know any more is `result_expired`, never begun again."""
    handle = await taken(bench, model)
    resumable.forget()
    with pytest.raises(ProviderError) as caught:
        await resumed(bench, model, handle)
    assert caught.value.reason is ErrorCode.EXPIRED


async def test_an_unknown_status_is_still_running(
    bench: Bench, resumable: ProviderServer, model: ModelInfo
) -> None:
    """A status that no document names ends nothing: the job is followed until it has a known one."""
    resumable.strange = True
    try:
        events = await made(bench, model, asked(model))
    finally:
        resumable.strange = False
    assert any(isinstance(event, Output) for event in events)


@pytest.mark.parametrize("stage", STAGES)
async def test_a_cancel_says_what_it_came_to(
    stage: Stage, bench: Bench, resumable: ProviderServer, model: ModelInfo
) -> None:
    """A cancel reaches the provider, and what it answered at this stage is what is told."""
    handle = await reach(bench, resumable, model, stage)
    assert await bench.provider.cancel(handle) == resumable.CANCELS.get(stage, "unsupported")
    assert resumable.count("cancel") == (1 if stage in resumable.CANCELS else 0)


async def test_a_cancelled_job_is_not_begun_again(
    bench: Bench, resumable: ProviderServer, model: ModelInfo
) -> None:
    """A job that was cancelled at the provider is told as that, not as a failure to be repeated."""
    if resumable.CANCELS.get("running") != "cancelled":
        pytest.skip("a running job cannot be cancelled for sure")
    handle = await reach(bench, resumable, model, "running")
    await bench.provider.cancel(handle)
    resumable.hold(None)
    with pytest.raises(ProviderError) as caught:
        await resumed(bench, model, handle)
    assert caught.value.reason is ErrorCode.CANCELLED


async def test_leaving_a_job_leaves_it_running(
    bench: Bench, resumable: ProviderServer, model: ModelInfo
) -> None:
    """Closing the generator stops the questions and nothing else: the next worker finds the job."""
    handle = await reach(bench, resumable, model, "running")
    resumable.hold(None)
    assert resumable.count("cancel") == 0
    assert any(isinstance(event, Output) for event in await resumed(bench, model, handle))


async def test_a_handle_holds_no_secret(bench: Bench, resumable: ProviderServer, model: ModelInfo) -> None:
    """What is kept of a job names it and holds no key."""
    handle = await taken(bench, model)
    assert all(isinstance(value, str) for value in handle.values())
    assert resumable.key not in repr(handle)


async def test_real_numbers_only(bench: Bench, server: ProviderServer, model: ModelInfo) -> None:
    """A number is told only by a model whose catalogue entry says that it gives some."""
    events = await made(bench, model, asked(model))
    if model.progress is ProgressKind.STATUS:
        assert not any(isinstance(event, Advanced) for event in events)


async def test_pictures_reach_the_provider(bench: Bench, server: ProviderServer, model: ModelInfo) -> None:
    """A request with pictures is made by a model that takes them, small ones and large ones."""
    takers = [each for each in await bench.provider.models() if each.kind == model.kind and each.roles]
    if not takers:
        pytest.skip("takes no pictures")
    for size in ("small", "large"):
        request = asked(takers[0])
        role = min(takers[0].needs or takers[0].roles)
        if not request.images:
            request = replace(request, images=(_picture(role, size),))
        assert any(isinstance(event, Output) for event in await made(bench, takers[0], request))
    server.check_pictures()


def _picture(role: Role, size: str) -> InputMedia:
    return InputMedia(role=role, path=f"{size}.png", content_type="image/png")


async def test_a_check_costs_nothing(bench: Bench, server: ProviderServer, model: ModelInfo) -> None:
    """A check with a good key says what it saw and is not billed."""
    before = server.billed
    assert await bench.provider.check()
    assert (server.billed, server.count("submit")) == (before, 0)


async def test_a_check_with_a_wrong_key_fails(bench: Bench, server: ProviderServer, model: ModelInfo) -> None:
    """A check with a key that the provider does not know says that it is the key, and does not show it."""
    assert bench.locked is not None
    with pytest.raises(ProviderError) as caught:
        await bench.locked.check()
    assert caught.value.reason is ErrorCode.AUTH
    assert "a wrong key" not in str(caught.value)
    assert server.count("submit") == 0


async def test_a_check_of_a_dead_provider_fails(
    bench: Bench, server: ProviderServer, model: ModelInfo
) -> None:
    """A check where nobody listens says so."""
    assert bench.dead is not None
    with pytest.raises(ProviderError):
        await bench.dead.check()
