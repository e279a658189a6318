"""The built-in provider: pictures and films drawn by formulas, in processes of its own."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from media_pipeline.generation.provider import Advanced, ErrorCode, GenerationRequest, ProviderError, Queued
from media_pipeline.generation.providers.procedural import ProceduralProvider
from media_pipeline.generation.providers.procedural.order import Order
from media_pipeline.generation.providers.procedural.provider import LOOP, SCENE
from media_pipeline.generation.providers.procedural.render import render
from media_pipeline.generation.providers.procedural.theme import Motif, read
from media_pipeline.generation.providers.said import Finished, Step
from media_pipeline.ids import JobId, UserId

PROMPTS = {
    "a quiet harbour at sunset": Motif.SEA,
    "Forest in the snow!": Motif.FOREST,
    "nebula": Motif.NEBULA,
    "gold silk": Motif.SILK,
    "desert dunes at night": Motif.DUNES,
    "city lights": Motif.CITY,
    "a valley of mountains": Motif.MOUNTAINS,
    "": Motif.SILK,
    "静かな港 🎣": Motif.SILK,
}

PARENT = """
import asyncio
from contextlib import aclosing
from media_pipeline.generation.provider import Advanced, GenerationRequest
from media_pipeline.generation.providers.procedural import ProceduralProvider

async def main():
    provider = ProceduralProvider()
    request = GenerationRequest(job_id="j", user_id="u", kind="video", prompt="nebula", seconds=10)
    _, loop = await provider.models()
    async with aclosing(provider.generate(request, loop)) as events:
        async for event in events:
            if isinstance(event, Advanced):
                print(*provider.working, flush=True)

asyncio.run(main())
"""


def drawn(order: Order) -> bytes:
    *_, last = render(order)
    assert isinstance(last, Finished)
    return last.data


def request(*, prompt: str = "nebula", seconds: float | None = None) -> GenerationRequest:
    return GenerationRequest(
        job_id=JobId("j"),
        user_id=UserId("u"),
        kind="video" if seconds else "image",
        prompt=prompt,
        seconds=seconds,
        width=64,
        height=64,
    )


@pytest.mark.parametrize(("prompt", "motif"), PROMPTS.items())
def test_words_choose_the_motif(prompt: str, motif: Motif) -> None:
    """A prompt's words choose what is painted; without a known word it is silk."""
    assert read(prompt, seed=1).motif is motif


def test_words_choose_the_colours() -> None:
    """The words of a prompt choose its colours, and the seed does where no word does."""
    assert np.array_equal(read("gold silk", seed=1).sky.stops, read("golden", seed=2).sky.stops)
    unknown = {read("qwertz", seed=seed).sky.stops.tobytes() for seed in range(20)}
    assert len(unknown) > 3


@pytest.mark.parametrize("size", [(64, 64), (64, 640), (640, 64), (127, 65)])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_motif_fits_every_shape(prompt: str, size: tuple[int, int]) -> None:
    """Every motif gives a picture with some contrast in any shape, however narrow or odd."""
    data = drawn(Order(prompt=prompt, seed=3, width=size[0], height=size[1]))
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == size
        assert np.asarray(picture.convert("L")).std() > 8


@pytest.mark.parametrize("prompt", PROMPTS)
def test_steps_are_the_work_done(prompt: str) -> None:
    """Steps are told one by one up to their total, while the picture grows."""
    steps = [m for m in render(Order(prompt=prompt, seed=1, width=64, height=64)) if isinstance(m, Step)]
    assert [step.done for step in steps] == list(range(1, steps[0].total + 1))
    assert steps[0].total >= 8


def test_a_picture_says_what_made_it() -> None:
    """A picture says in its own text that no AI model made it."""
    with Image.open(io.BytesIO(drawn(Order(prompt="x", seed=1, width=64, height=64)))) as picture:
        assert "not an AI model" in picture.info["Software"]


@pytest.mark.parametrize("prompt", ["a quiet harbour at sunset", "snowy forest", "nebula", "gold silk"])
def test_a_film_is_a_seamless_loop(prompt: str) -> None:
    """The step from a film's last frame to its first is no larger than those between its frames."""
    frames = decoded(drawn(Order(prompt=prompt, seed=1, width=96, height=96, frames=24)))
    steps = [np.abs(a - b).mean() for a, b in zip(frames, frames[1:] + frames[:1], strict=True)]
    assert steps[-1] <= max(steps[:-1]) * 1.5 + 1.0
    assert max(steps) > 0.05


def test_a_film_is_what_players_expect() -> None:
    """A film is H.264 High in yuv420p with its index in front, and every frame of it decodes."""
    data = drawn(Order(prompt="sea", seed=1, width=130, height=98, frames=15, fps=15))
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(io.BytesIO(data), "r") as film:
        [stream] = film.streams.video
        assert (stream.codec_context.name, stream.codec_context.profile) == ("h264", "High")
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 15
        assert len(list(film.decode(stream))) == 15


def test_a_film_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Abandoning a film in the middle removes the file it was written to."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    work = render(Order(prompt="sea", seed=1, width=64, height=64, frames=24))
    next(work)
    assert list(tmp_path.iterdir())
    work.close()
    assert not list(tmp_path.iterdir())


async def test_a_renderer_is_used_again() -> None:
    """One renderer process serves one request after another."""
    provider = ProceduralProvider(processes=1)
    seen: set[int] = set()
    for _ in range(2):
        async with aclosing(provider.generate(request(), SCENE)) as events:
            async for _event in events:
                seen.update(provider.working)
    await provider.aclose()
    assert len(seen) == 1


async def test_a_busy_provider_tells_the_place_in_its_queue() -> None:
    """A request that finds every renderer busy is told how many wait before it."""
    provider = ProceduralProvider(processes=1)
    async with aclosing(provider.generate(request(seconds=10), LOOP)) as film:
        await anext(film)
        async with aclosing(provider.generate(request(), SCENE)) as second:
            assert await anext(second) == Queued(0)
    await provider.aclose()


async def test_a_renderer_that_dies_is_an_error_and_is_replaced() -> None:
    """When a renderer is killed its request fails as retryable, and the next one gets a new renderer."""
    provider = ProceduralProvider(processes=1)

    async def draw_and_kill() -> None:
        async with aclosing(provider.generate(request(seconds=10), LOOP)) as events:
            async for event in events:
                if isinstance(event, Advanced) and event.done == 1:
                    os.kill(provider.working[0], signal.SIGKILL)

    with pytest.raises(ProviderError) as caught:
        await draw_and_kill()
    assert caught.value.reason is ErrorCode.PROVIDER
    async with aclosing(provider.generate(request(), SCENE)) as events:
        assert [event async for event in events]
    await provider.aclose()


async def test_cancelling_the_task_ends_the_renderer() -> None:
    """Cancelling the task that draws ends the renderer process."""
    provider = ProceduralProvider(processes=1)
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def draw() -> None:
        async with aclosing(provider.generate(request(seconds=10), LOOP)) as events:
            async for event in events:
                if isinstance(event, Advanced) and not begun.done():
                    begun.set_result(provider.working[0])

    task = asyncio.create_task(draw())
    process = await begun
    task.cancel()
    await asyncio.wait([task])
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    await provider.aclose()


@pytest.mark.skipif(sys.platform != "linux", reason="waits on a process that is not its child by pidfd")
def test_renderers_die_with_a_killed_service() -> None:
    """After `kill -9` of the service its renderers end by themselves."""
    import select  # noqa: PLC0415 - for this platform alone

    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        renderer = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    ended = select.poll()
    ended.register(renderer, select.POLLIN)
    assert ended.poll(20_000)
    os.close(renderer)


def decoded(data: bytes) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    with av.open(io.BytesIO(data), "r") as film:
        return [frame.to_ndarray(format="rgb24").astype(np.float64) for frame in film.decode(video=0)]
