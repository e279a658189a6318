"""Which provider makes a request, and what happens when it fails: the next one, again, or the end.

Guarantees: `generate` is never called again once a call that may cost money went out, unless the provider
definitely refused or failed the work; a job that a provider took is followed by its handle. Does not
guarantee: that a provider charges once for one call, or that a failure it reports was free.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Final

import structlog

from media_pipeline.clock import Clock
from media_pipeline.generation import fitting
from media_pipeline.generation.commitment import Commitment, Verdict, unknown_submit
from media_pipeline.generation.downloads import Downloads, read_data_url
from media_pipeline.generation.fitting import resolve_size
from media_pipeline.generation.fleet import Fleet, NoFleet
from media_pipeline.generation.offers import Offer, named
from media_pipeline.generation.provider import (
    TRY_AGAIN,
    CancelOutcome,
    ErrorCode,
    GenerationRequest,
    Handle,
    MediaProvider,
    ModelInfo,
    Output,
    ProviderError,
    ProviderEvent,
)
from media_pipeline.generation.tries import AttemptEnded, AttemptStarted, ManagerEvent, ResumePoint

_log = structlog.get_logger(__name__)
__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "ManagerEvent",
    "MediaGenerationManager",
    "Offer",
    "ResumePoint",
    "resolve_size",
]

BACK_OFF: Final = 0.5
"""Seconds of the first back-off at most; each further one may be twice as long."""
BACK_OFF_MAX: Final = 30.0
PATIENCE: Final = 120.0
"""A provider that asks for a longer wait than this many seconds is left for the next one."""

CANCEL_SECONDS: Final = 4.0
"""Less than a republisher's patience: as long as a process asks, no other one does."""
GONE_SECONDS: Final = 3600.0
"""For so long a model that its provider calls gone is not asked for again, by this process."""
HEALS: Final = 8
"""How often a taken job that got out of sight is looked for in one attempt."""


class MediaGenerationManager:
    """Route requests over `providers`, in `order` (names; those it leaves out come last).

    `attempts` bounds the calls on one provider in one run; `fleet` says what all workers together may ask
    of a provider; `downloads` fetches results that are elsewhere, which
    pass as they are without it; `chance` gives the jitter, 0..1.
    """

    def __init__(
        self,
        providers: Sequence[MediaProvider],
        *,
        clock: Clock,
        order: Sequence[str] | None = None,
        attempts: int = 3,
        fleet: Fleet | None = None,
        downloads: Downloads | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        places = {name: place for place, name in enumerate(order or ())}
        self._providers = sorted(providers, key=lambda provider: places.get(provider.name, len(places)))
        self._clock, self._attempts, self._chance = clock, attempts, chance
        self._downloads, self._fleet = downloads, fleet or NoFleet()
        self._gone: dict[tuple[str, str], float] = {}

    async def models(self) -> list[Offer]:
        """Return everything that can be asked for now, in the order it would be tried."""
        today = datetime.fromtimestamp(self._clock.now(), UTC).date()
        return [
            Offer(provider, model)
            for provider in self._providers
            for model in await provider.models()
            if (model.sunset is None or today < model.sunset) and not self._is_gone(provider, model)
        ]

    async def choose(self, request: GenerationRequest) -> list[Offer]:
        """Return who can make `request`: one model a provider, the first to try first.

        Raises `ProviderError` (UNSUPPORTED or INVALID_REQUEST) with a sentence that names what is allowed.
        """
        chosen: dict[str, Offer] = {}
        misfit: ProviderError | None = None
        for offer in named(request, await self.models()):
            try:
                fitting.check(request, offer.model)
                chosen.setdefault(offer.provider.name, offer)
            except ProviderError as error:
                misfit = misfit or error
        if not chosen and misfit is not None:
            raise misfit
        return list(chosen.values())

    async def run(
        self, request: GenerationRequest, *, resume: ResumePoint | None = None, first_number: int = 1
    ) -> AsyncGenerator[ManagerEvent, None]:
        """Make `request`, telling of every attempt; the numbers go on from `first_number`.

        Each event is yielded before the act it announces, so a caller that makes `AttemptStarted`,
        `Submitting` and `Submitted` durable before asking for more can never pay twice. After a broken
        connection an index may get its `Output` again. Raises the `ProviderError` of the last attempt;
        one that is not `final` may be repeated, by its handle where there is one. Closing the
        generator closes the provider's.
        """
        offers = await self._offers(request, resume)
        commitment = Commitment(resume.handle if resume else None)
        number, turn = first_number, 1
        while True:
            patience = PATIENCE if len(offers) == 1 else 0.0
            attempt = self._attempt(number, offers[0], request, commitment, patience=patience)
            async with aclosing(attempt) as events:
                async for event in events:
                    yield event
            error = commitment.error
            if error is None:
                return
            others = await self._others(request, offers, error)
            if commitment.verdict in {Verdict.AGAIN, Verdict.NEXT} and others:
                offers, turn = others, 1
            elif commitment.verdict is Verdict.AGAIN and turn < self._attempts and _soon(error):
                await self._clock.sleep(self._pause(turn, error))
                turn += 1
            else:
                raise error
            number, commitment = number + 1, Commitment()

    async def cancel(self, taken: ResumePoint) -> CancelOutcome | None:
        """Ask a provider to stop a job it has taken; None where nobody knows what came of it.

        Within `CANCEL_SECONDS` a question that fails in passing is asked again: to stop twice is to stop.
        """
        provider, handle = self._named(taken.provider), taken.handle
        if provider is None or handle is None:
            return None
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                for turn in itertools.count(1):
                    try:
                        return await provider.cancel(handle)
                    except ProviderError as error:
                        _log.warning("provider.not_cancelled", provider=taken.provider, error=str(error))
                        if error.reason not in TRY_AGAIN or turn == self._attempts:
                            return None
                        await self._clock.sleep(self._pause(turn, error))
        except TimeoutError:
            _log.warning("provider.not_cancelled", provider=taken.provider, error="no answer in time")
        return None

    async def _attempt(
        self,
        number: int,
        offer: Offer,
        request: GenerationRequest,
        commitment: Commitment,
        *,
        patience: float,
    ) -> AsyncGenerator[ManagerEvent, None]:
        name = offer.provider.name
        yield AttemptStarted(number, name, offer.model.id)
        try:
            async with (
                self._fleet.slot(name, patience=None if commitment.handle else patience),
                aclosing(self._followed(offer, request, commitment)) as events,
            ):
                async for event in events:
                    yield event
        except ProviderError as error:
            commitment.fail(error)
        await self._fleet.learn(name, commitment.error)
        if not commitment.pending:
            yield AttemptEnded(number, commitment.error)

    async def _followed(
        self, offer: Offer, request: GenerationRequest, commitment: Commitment
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Generate or resume; a taken job that gets out of sight is looked for again by its handle."""
        for turn in itertools.count(1):
            try:
                async with aclosing(self._fetched(offer, request, commitment.handle)) as events:
                    async for event in events:
                        commitment.note(event)
                        yield event
                commitment.check_outputs(offer.provider.name)
            except Exception as raised:
                error = commitment.understood(raised, provider=offer.provider.name)
                if commitment.judge(error) is not Verdict.RESUME or turn > HEALS:
                    if error is raised:
                        raise
                    raise error from raised
                await self._clock.sleep(self._pause(turn, error))
            else:
                return

    async def _fetched(
        self, offer: Offer, request: GenerationRequest, handle: Handle | None
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Pass on what the provider says; a result that is elsewhere comes with its bytes.

        Of results beyond those that were asked for only the log hears.
        """
        async with aclosing(_source(offer, request, handle)) as events:
            async for event in events:
                if isinstance(event, Output) and event.index >= request.n:
                    _log.warning("provider.output_left", provider=offer.provider.name, index=event.index)
                elif self._downloads is None or not isinstance(event, Output) or event.url is None:
                    yield event
                elif event.url.startswith("data:"):
                    yield read_data_url(event)
                else:
                    fetching = self._downloads.fetch(event, kind=request.kind, provider=offer.provider.name)
                    async with aclosing(fetching) as parts:
                        async for part in parts:
                            yield part

    async def _offers(self, request: GenerationRequest, resume: ResumePoint | None) -> list[Offer]:
        if resume is None:
            return await self.choose(request)
        if resume.handle is None:
            raise unknown_submit(resume.provider)
        found = await self._find(resume)
        with suppress(ProviderError):
            return [found, *(o for o in await self.choose(request) if o.provider is not found.provider)]
        return [found]

    async def _others(
        self, request: GenerationRequest, offers: Sequence[Offer], error: ProviderError
    ) -> list[Offer]:
        """Return who is left; for a model that is gone, the same provider's next one comes first."""
        left = list(offers[1:])
        if error.reason is not ErrorCode.GONE:
            return left
        failed = offers[0]
        self._gone[failed.provider.name, failed.model.id] = self._clock.monotonic() + GONE_SECONDS
        _log.error(
            "provider.model_gone", provider=failed.provider.name, model=failed.model.id, said=str(error)
        )
        with suppress(ProviderError):
            left = [o for o in await self.choose(request) if o.provider is failed.provider] + left
        return left

    async def _find(self, resume: ResumePoint) -> Offer:
        provider = self._named(resume.provider)
        for model in await provider.models() if provider else ():
            if model.id == resume.model and provider:
                return Offer(provider, model)
        sentence = f"The job is at {resume.provider} ({resume.model}), which is not configured any more."
        raise ProviderError(ErrorCode.UNSUPPORTED, sentence, provider=resume.provider)

    def _named(self, name: str) -> MediaProvider | None:
        return next((each for each in self._providers if each.name == name), None)

    def _is_gone(self, provider: MediaProvider, model: ModelInfo) -> bool:
        return self._gone.get((provider.name, model.id), 0.0) > self._clock.monotonic()

    def _pause(self, turn: int, error: ProviderError) -> float:
        """Exponential back-off with full jitter, on top of what the provider asked for."""
        most = min(BACK_OFF_MAX, BACK_OFF * 2.0 ** (turn - 1))
        return min(error.retry_after or 0.0, PATIENCE) + self._chance() * most


def _source(
    offer: Offer, request: GenerationRequest, handle: Handle | None
) -> AsyncGenerator[ProviderEvent, None]:
    if handle is not None:
        return offer.provider.resume(request, offer.model, handle)
    return offer.provider.generate(request, offer.model)


def _soon(error: ProviderError) -> bool:
    return (error.retry_after or 0.0) <= PATIENCE
