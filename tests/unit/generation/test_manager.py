"""The manager: fail over, resume, never pay twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from media_pipeline.generation.manager import (
    BACK_OFF_MAX,
    HEALS,
    PATIENCE,
    AttemptEnded,
    AttemptStarted,
    ManagerEvent,
    MediaGenerationManager,
    ResumePoint,
)
from media_pipeline.generation.provider import (
    TRY_AGAIN,
    TRY_NEXT,
    ErrorCode,
    MediaProvider,
    Output,
    ProviderError,
    ProviderEvent,
    Running,
    Submitted,
    Submitting,
)

from .scripted import HANDLE, MODEL, PICTURE, TAKEN, NotingClock, Script, Scripted, asked, failing

REFUSALS = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.OVERLOADED, ErrorCode.PROVIDER}) | (
    TRY_NEXT - TRY_AGAIN
)
"""What definitely says that a job was not taken."""
OUT_OF_SIGHT = [ErrorCode.NETWORK, ErrorCode.TIMEOUT, ErrorCode.RATE_LIMITED, ErrorCode.OVERLOADED]


def managed(
    *providers: MediaProvider, clock: NotingClock | None = None, attempts: int = 3
) -> MediaGenerationManager:
    return MediaGenerationManager(
        providers, clock=clock or NotingClock(), attempts=attempts, chance=lambda: 1.0
    )


async def ran(
    manager: MediaGenerationManager, *, resume: ResumePoint | None = None, first_number: int = 1
) -> tuple[list[ManagerEvent], ProviderError | None]:
    events: list[ManagerEvent] = []
    try:
        async with aclosing(manager.run(asked(), resume=resume, first_number=first_number)) as run:
            async for event in run:
                events.append(event)  # noqa: PERF401 - those before an error count
    except ProviderError as error:
        return events, error
    return events, None


def numbers(events: Sequence[ManagerEvent]) -> list[tuple[int, str]]:
    return [(event.number, event.provider) for event in events if isinstance(event, AttemptStarted)]


async def test_a_good_provider_is_asked_once() -> None:
    """A run that goes well is one attempt with the provider's events inside."""
    provider = Scripted(scripts=[[Running(), PICTURE]])
    events, error = await ran(managed(provider))
    assert events == [AttemptStarted(1, "one", "m"), Running(), PICTURE, AttemptEnded(1)]
    assert (error, provider.generated) == (None, 1)


@pytest.mark.parametrize("reason", list(ErrorCode))
async def test_fail_over_follows_the_error(reason: ErrorCode) -> None:
    """Before anything was submitted, the error alone decides: the next provider, or the end."""
    first, second = Scripted(scripts=[[failing(reason)]]), Scripted(name="two")
    _, error = await ran(managed(first, second))
    assert first.generated == 1
    assert second.generated == (1 if reason in TRY_NEXT else 0)
    assert (error is None) == (reason in TRY_NEXT)


@pytest.mark.parametrize("reason", list(ErrorCode))
async def test_a_submit_is_repeated_only_after_a_refusal(reason: ErrorCode) -> None:
    """Once the submit went out, `generate` is called again only when the provider definitely refused."""
    first = Scripted(scripts=[[Submitting(), failing(reason)]])
    second = Scripted(name="two")
    _, error = await ran(managed(first, second))
    if reason in REFUSALS:
        assert (error, second.generated) == (None, 1)
    else:
        assert error is not None
        assert error.final
        assert (first.generated, second.generated) == (1, 0)


@pytest.mark.parametrize("failure", [failing(ErrorCode.NETWORK), failing(ErrorCode.TIMEOUT), OSError("cut")])
async def test_a_broken_submit_is_unknown(failure: Exception) -> None:
    """A connection that breaks during the submit ends the run as `submitted_unknown`, whatever raised."""
    provider = Scripted(scripts=[[Submitting(), failure]])
    events, error = await ran(managed(provider, Scripted(name="two")))
    assert error is not None
    assert error.reason is ErrorCode.SUBMITTED_UNKNOWN
    assert events[-1] == AttemptEnded(1, error)
    assert provider.generated == 1


@pytest.mark.parametrize("reason", OUT_OF_SIGHT)
async def test_a_taken_job_is_found_again(reason: ErrorCode) -> None:
    """A taken job that gets out of sight is resumed by its handle within the same attempt."""
    provider = Scripted(
        scripts=[[*TAKEN, failing(reason)]], resumes=[[failing(reason)], [Running(), PICTURE]]
    )
    events, error = await ran(managed(provider))
    assert (error, provider.generated, provider.resumed) == (None, 1, [HANDLE, HANDLE])
    assert numbers(events) == [(1, "one")]
    assert PICTURE in events


@pytest.mark.parametrize("reason", list(ErrorCode))
async def test_a_taken_job_is_paid_once(reason: ErrorCode) -> None:
    """Once a job was taken, nothing but the provider's own word that it failed allows a new one."""
    provider = Scripted(scripts=[[*TAKEN, failing(reason)]], resumes=[[failing(reason)]])
    second = Scripted(name="two")
    _, error = await ran(managed(provider, second))
    if reason is ErrorCode.PROVIDER:
        assert (error, provider.generated, second.generated) == (None, 1, 1)
    else:
        assert error is not None
        assert (error.reason, provider.generated, second.generated) == (reason, 1, 0)
        assert error.final == (reason not in OUT_OF_SIGHT)


async def test_looking_for_a_taken_job_ends() -> None:
    """A taken job that stays out of sight is looked for so often and no more; its attempt stays open."""
    provider = Scripted(
        scripts=[[*TAKEN, failing(ErrorCode.NETWORK)]], resumes=[[Running(), failing(ErrorCode.NETWORK)]]
    )
    clock = NotingClock()
    events, error = await ran(managed(provider, clock=clock))
    assert error is not None
    assert not error.final
    assert not [event for event in events if isinstance(event, AttemptEnded)]
    assert len(provider.resumed) == HEALS == len(clock.slept)
    assert max(clock.slept) <= BACK_OFF_MAX


async def test_a_result_that_was_paid_is_not_made_again() -> None:
    """After a result of a paid call, even a refusal of the next call ends the run."""
    script: Script = [Submitting(), PICTURE, Submitting(), failing(ErrorCode.RATE_LIMITED)]
    provider = Scripted(scripts=[script])
    _, error = await ran(managed(provider, Scripted(name="two")))
    assert error is not None
    assert error.final
    assert provider.generated == 1


async def test_nothing_made_is_a_bad_output() -> None:
    """A free provider that ends without any result loses the job to the next one."""
    provider, second = Scripted(scripts=[[Running()]]), Scripted(name="two")
    events, error = await ran(managed(provider, second))
    assert (error, provider.generated, second.generated) == (None, 1, 1)
    assert isinstance(events[2], AttemptEnded)
    assert events[2].error is not None
    assert events[2].error.reason is ErrorCode.BAD_OUTPUT


async def test_a_mistake_of_ours_is_not_hidden() -> None:
    """An error that no provider raised on purpose comes out as it is when no money is at stake."""
    with pytest.raises(ZeroDivisionError):
        await ran(managed(Scripted(scripts=[[ZeroDivisionError()]])))


async def test_every_attempt_has_its_number() -> None:
    """Attempts are numbered in a row over providers, from the number a caller goes on with."""
    first, second = Scripted(scripts=[[failing(ErrorCode.OVERLOADED)]]), Scripted(name="two")
    events, _ = await ran(managed(first, second), first_number=4)
    assert numbers(events) == [(4, "one"), (5, "two")]
    ended = [event for event in events if isinstance(event, AttemptEnded)]
    assert [(event.number, event.error is None) for event in ended] == [(4, False), (5, True)]


async def test_waits_grow_and_are_capped() -> None:
    """Between attempts at the only provider the wait doubles up to a cap."""
    clock = NotingClock()
    provider = Scripted(scripts=[[failing(ErrorCode.OVERLOADED)]])
    await ran(managed(provider, clock=clock, attempts=9))
    assert clock.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


async def test_jitter_is_full() -> None:
    """A wait is anywhere between nothing and its longest, as chance has it."""
    clock = NotingClock()
    provider = Scripted(scripts=[[failing(ErrorCode.OVERLOADED)], [PICTURE]])
    await ran(MediaGenerationManager([provider], clock=clock, chance=lambda: 0.25))
    assert clock.slept == [0.125]


async def test_retry_after_is_honoured() -> None:
    """A provider that says when to come back is not asked earlier."""
    clock = NotingClock()
    provider = Scripted(scripts=[[failing(ErrorCode.RATE_LIMITED, retry_after=20)], [PICTURE]])
    await ran(managed(provider, clock=clock))
    assert clock.slept == [20.5]


async def test_a_long_retry_after_leaves_for_the_next_provider() -> None:
    """A provider that asks for more patience than there is loses the job to the next one at once."""
    clock = NotingClock()
    first = Scripted(scripts=[[failing(ErrorCode.RATE_LIMITED, retry_after=PATIENCE + 1)]])
    second = Scripted(name="two")
    await ran(managed(first, second, clock=clock))
    assert (first.generated, second.generated, clock.slept) == (1, 1, [])


async def test_a_job_claimed_again_is_resumed() -> None:
    """With a handle from an earlier run the job is resumed and never generated."""
    provider = Scripted(resumes=[[Running(), PICTURE]])
    point = ResumePoint(provider="one", model="m", handle=HANDLE)
    events, error = await ran(managed(Scripted(name="zero"), provider), resume=point, first_number=2)
    assert (error, provider.generated, provider.resumed) == (None, 0, [HANDLE])
    assert numbers(events) == [(2, "one")]


async def test_a_resumed_job_that_failed_goes_on_elsewhere() -> None:
    """A resumed job that its provider calls failed is made anew, there and then elsewhere."""
    provider = Scripted(resumes=[[failing(ErrorCode.PROVIDER)]], scripts=[[failing(ErrorCode.QUOTA)]])
    second = Scripted(name="two")
    point = ResumePoint(provider="one", model="m", handle=HANDLE)
    events, error = await ran(managed(provider, second), resume=point)
    assert error is None
    assert numbers(events) == [(1, "one"), (2, "two")]


async def test_an_intent_without_a_handle_is_unknown() -> None:
    """Where an earlier run left only the intent to submit, nobody is asked again."""
    provider = Scripted()
    events, error = await ran(managed(provider), resume=ResumePoint("one", "m", None))
    assert error is not None
    assert (error.reason, events, provider.generated) == (ErrorCode.SUBMITTED_UNKNOWN, [], 0)


async def test_a_job_at_a_provider_that_is_gone_is_not_paid_elsewhere() -> None:
    """A taken job whose provider is not configured any more fails instead of being bought again."""
    provider = Scripted()
    _, error = await ran(managed(provider), resume=ResumePoint("other", "m", HANDLE))
    assert error is not None
    assert (error.reason, provider.generated) == (ErrorCode.UNSUPPORTED, 0)


@pytest.mark.parametrize("stop_at", [AttemptStarted, Submitting, Submitted, Output])
async def test_closing_the_run_closes_the_provider(stop_at: type) -> None:
    """Closing the run at any event leaves no generator of a provider open."""
    provider = Scripted(scripts=[[*TAKEN, PICTURE, Running()]])
    async with aclosing(managed(provider).run(asked())) as run:
        async for event in run:
            if isinstance(event, stop_at):
                break
    assert provider.open == 0


async def test_the_intent_is_told_before_the_act() -> None:
    """While a caller keeps `Submitting`, the provider has not gone on."""
    went_on = asyncio.Event()

    class Watched(Scripted):
        async def _play(self, script: Script) -> AsyncGenerator[ProviderEvent, None]:
            yield Submitting()
            went_on.set()
            yield Submitted(HANDLE)
            yield PICTURE

    async with aclosing(managed(Watched()).run(asked())) as run:
        async for event in run:
            if isinstance(event, Submitting):
                assert not went_on.is_set()
    assert went_on.is_set()


async def test_the_order_is_the_operator_s() -> None:
    """Providers are tried in the configured order, those it leaves out last."""
    providers = [Scripted(name=name) for name in ("a", "b", "c")]
    manager = MediaGenerationManager(providers, clock=NotingClock(), order=["c", "b"])
    assert [offer.provider.name for offer in await manager.choose(asked())] == ["c", "b", "a"]


async def test_a_model_that_is_gone_leaves_for_the_provider_s_next() -> None:
    """A model that its provider calls gone is replaced by that provider's next one, and not asked again."""
    other = replace(MODEL, id="newer")
    provider = Scripted(scripts=[[failing(ErrorCode.GONE)], [PICTURE]], offered=(MODEL, other))
    manager = managed(provider, Scripted(name="two"))
    events, error = await ran(manager)
    started = [event for event in events if isinstance(event, AttemptStarted)]
    assert [(event.provider, event.model) for event in started] == [("one", "m"), ("one", "newer")]
    assert error is None
    assert [offer.full_name for offer in await manager.models()] == ["one/newer", "two/m"]
