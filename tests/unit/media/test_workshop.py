"""The workshop holds its limits and outlives its children."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from media_pipeline.media.workshop.orders import Trim
from media_pipeline.media.workshop.refusal import BadPicture
from media_pipeline.media.workshop.workshop import TooMuchWork, Workshop, WorkshopFailed, WorkshopLimits
from tests.corpus import HEIGHT, WIDTH, bomb, film, still


@asynccontextmanager
async def opened(limits: WorkshopLimits | None = None) -> AsyncIterator[Workshop]:
    workshop = Workshop(limits, processes=1)
    try:
        yield workshop
    finally:
        await workshop.aclose()


def file_of(folder: Path, data: bytes) -> Path:
    file = folder / "file"
    file.write_bytes(data)
    return file


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory")
async def test_a_picture_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    """A picture within the allowed pixels, but past the memory, is refused and the next one is decoded."""
    limits = WorkshopLimits(memory_bytes=160 * 1024**2)
    async with opened(limits) as workshop:
        with pytest.raises(BadPicture):
            await workshop.examine(file_of(tmp_path, bomb(16_000, 6_000)), tmp_path, "image/png")
        seen = await workshop.examine(file_of(tmp_path, still("PNG")), tmp_path, "image/png")
        assert (seen.width, seen.height) == (WIDTH, HEIGHT)


async def test_a_file_that_takes_too_long_is_left(tmp_path: Path) -> None:
    """Past its time by the clock a file is given up for good, and its child is gone."""
    never = tmp_path / "never"
    os.mkfifo(never)  # opening it waits for a writer, who never comes
    async with opened(WorkshopLimits(examine_seconds=1)) as workshop:
        with pytest.raises(TooMuchWork) as error:
            await workshop.examine(never, tmp_path, "image/png")
        assert not error.value.retryable
        assert workshop.working == ()


async def test_a_killed_child_is_an_error_that_may_be_tried_again(tmp_path: Path) -> None:
    """A child that is killed in the middle fails its order alone; the next one gets a new child."""
    never = tmp_path / "never"
    os.mkfifo(never)
    async with opened() as workshop:
        waiting = asyncio.create_task(workshop.examine(never, tmp_path, "image/png"))
        while not workshop.working:  # noqa: ASYNC110 - a pool tells nobody when a child begins
            await asyncio.sleep(0)
        os.kill(workshop.working[0], signal.SIGKILL)
        with pytest.raises(WorkshopFailed) as error:
            await waiting
        assert error.value.retryable
        seen = await workshop.examine(file_of(tmp_path, still("PNG")), tmp_path, "image/png")
        assert seen.content_type == "image/png"


async def test_a_file_is_opened_by_one_decoder_alone(tmp_path: Path) -> None:
    """A picture that begins as one kind and is another is refused."""
    async with opened() as workshop:
        with pytest.raises(BadPicture):
            await workshop.examine(file_of(tmp_path, still("GIF")), tmp_path, "image/png")


@pytest.mark.long
async def test_a_thousand_films_are_cut(tmp_path: Path) -> None:
    """No cut stands still: with a log level, decoders that wrote a line waited for Python for ever."""
    file = file_of(tmp_path, film(sound=True))
    async with opened() as workshop:
        for _ in range(1000):
            async with asyncio.timeout(30):
                async for _ in workshop.make(file, tmp_path, "video/mp4", Trim(start=0.5, end=1.5)):
                    pass
