"""What every provider promises, whatever makes its media."""

from __future__ import annotations

import io
from contextlib import aclosing
from itertools import pairwise

import av
import pytest
from PIL import Image

from media_pipeline.generation.fitting import resolve_size
from media_pipeline.generation.provider import (
    Advanced,
    ErrorCode,
    GenerationRequest,
    InputMedia,
    ModelInfo,
    Output,
    Preview,
    ProgressKind,
    ProviderError,
    ProviderEvent,
    Submitted,
    Submitting,
    Usage,
)
from media_pipeline.ids import JobId, UserId

from .engines import Bench

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNITS = {ProgressKind.STEPS: "step", ProgressKind.FRAMES: "frame", ProgressKind.PERCENT: "percent"}


def asked(model: ModelInfo, *, n: int = 1, seed: int | None = None) -> GenerationRequest:
    """The smallest request that `model` allows."""
    side = None if model.sizes else -(-max(model.min_side, 64) // model.multiple_of) * model.multiple_of
    pictures = [
        InputMedia(role=role, path=f"{role}.png", content_type="image/png") for role in sorted(model.needs)
    ]
    return GenerationRequest(
        job_id=JobId("7f8c9b1e-0000-4000-8000-000000000001"),
        user_id=UserId("ada"),
        kind=model.kind,
        prompt="a quiet harbour at sunset",
        n=n,
        width=side,
        height=side,
        seconds=min(model.durations, default=0.5 if model.kind == "video" else None),
        fps=model.fps[0] if model.fps else None,
        seed=seed if model.seed else None,
        images=tuple(pictures),
    )


async def made(bench: Bench, model: ModelInfo, request: GenerationRequest) -> list[ProviderEvent]:
    async with aclosing(bench.provider.generate(request, model)) as events:
        return [await bench.fetch(event) if isinstance(event, Output) else event async for event in events]


async def test_one_output_comes_for_every_index(bench: Bench, model: ModelInfo) -> None:
    """One output comes for every index that was asked for."""
    n = min(2, model.n_max)
    events = await made(bench, model, asked(model, n=n))
    assert sorted(event.index for event in events if isinstance(event, Output)) == list(range(n))


async def test_outputs_are_what_they_say(bench: Bench, model: ModelInfo) -> None:
    """An output's bytes decode to the kind and the size that the request resolves to."""
    request = asked(model)
    for output in [event for event in await made(bench, model, request) if isinstance(event, Output)]:
        assert sides(output) == resolve_size(request, model)
        assert output.width is None or (output.width, output.height) == sides(output)


async def test_progress_rises_and_never_exceeds_its_total(bench: Bench, model: ModelInfo) -> None:
    """For every index progress rises strictly, in one unit, and never exceeds its total."""
    events = await made(bench, model, asked(model, n=min(2, model.n_max)))
    for index in {event.index for event in events if isinstance(event, Advanced)}:
        steps = [event for event in events if isinstance(event, Advanced) and event.index == index]
        assert all(one.done < other.done for one, other in pairwise(steps))
        assert all(0 < step.done <= step.total for step in steps)
        assert {step.total for step in steps} == {steps[0].total}
        assert {step.unit for step in steps} == {UNITS.get(model.progress, steps[0].unit)}


async def test_nothing_but_usage_follows_the_last_output(bench: Bench, model: ModelInfo) -> None:
    """After the last output nothing comes but what it cost."""
    events = await made(bench, model, asked(model))
    last = max(place for place, event in enumerate(events) if isinstance(event, Output))
    assert all(isinstance(event, Usage) for event in events[last + 1 :])


async def test_an_intent_comes_before_every_submit(bench: Bench, model: ModelInfo) -> None:
    """A job is said to be taken only after the intent to submit it was told."""
    events = await made(bench, model, asked(model))
    names = [type(event) for event in events if isinstance(event, Submitting | Submitted)]
    assert names == [Submitting, Submitted][: len(names)]


async def test_previews_decode(bench: Bench, model: ModelInfo) -> None:
    """Every preview is a picture of the type it names, and a model that promises previews gives some."""
    events = await made(bench, model, asked(model))
    previews = [event for event in events if isinstance(event, Preview)]
    assert bool(previews) or not model.previews
    for preview in previews:
        with Image.open(io.BytesIO(preview.data)) as picture:
            picture.load()
            assert Image.MIME[picture.format or ""] == preview.content_type


async def test_closing_the_generator_stops_the_work(bench: Bench, model: ModelInfo) -> None:
    """Closing the generator in the middle stops local work before it returns."""
    if bench.at_work is None:
        pytest.skip("works elsewhere")
    async with aclosing(bench.provider.generate(asked(model, n=model.n_max), model)) as events:
        async for event in events:
            if isinstance(event, Advanced):
                break
        assert bench.at_work()
    assert not bench.at_work()


async def test_a_stopped_provider_works_again(bench: Bench, model: ModelInfo) -> None:
    """Work that was stopped does not stand in the way of the next request."""
    async with aclosing(bench.provider.generate(asked(model), model)) as events:
        await anext(events)
    assert any(isinstance(event, Output) for event in await made(bench, model, asked(model)))


async def test_the_same_seed_gives_the_same_bytes(bench: Bench, model: ModelInfo) -> None:
    """Where a model takes a seed, the same request gives the same bytes, and another seed gives others."""
    if not model.seed:
        pytest.skip("takes no seed")
    outputs = [
        event
        for seed in (7, 7, 8)
        for event in await made(bench, model, asked(model, seed=seed))
        if isinstance(event, Output)
    ]
    assert outputs[0].data == outputs[1].data != outputs[2].data
    assert [output.seed for output in outputs] == [7, 7, 8]


async def test_a_seed_that_was_not_given_is_told(bench: Bench, model: ModelInfo) -> None:
    """A model that takes seeds tells the one it chose, and that seed repeats the result."""
    if not model.seed:
        pytest.skip("takes no seed")
    first = await made(bench, model, asked(model))
    [output] = [event for event in first if isinstance(event, Output)]
    assert output.seed is not None
    again = await made(bench, model, asked(model, seed=output.seed))
    assert output.data in [event.data for event in again if isinstance(event, Output)]


async def test_what_cannot_be_made_is_a_provider_error(bench: Bench, model: ModelInfo) -> None:
    """A size outside the model's limits is refused by a `ProviderError`, before any output."""
    request = GenerationRequest(
        job_id=JobId("j"),
        user_id=UserId("u"),
        kind=model.kind,
        prompt="x",
        width=1,
        height=model.max_side * 2,
    )
    with pytest.raises(ProviderError) as caught:
        await made(bench, model, request)
    assert caught.value.reason is ErrorCode.INVALID_REQUEST
    assert caught.value.provider


def sides(output: Output) -> tuple[int, int]:
    data = io.BytesIO(output.data or b"")
    if output.content_type.startswith("video/"):
        with av.open(data, "r") as film:
            frame = next(film.decode(video=0))
            return frame.width, frame.height
    with Image.open(data) as picture:
        picture.load()
        assert Image.MIME[picture.format or ""] == output.content_type
        return picture.size
