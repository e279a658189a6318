"""From an order to a finished picture or film, one real step at a time."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from typing import Final

from media_pipeline.generation.providers.procedural import theme
from media_pipeline.generation.providers.procedural.canvas import Painting, finished, to_png, to_preview
from media_pipeline.generation.providers.procedural.film import Film
from media_pipeline.generation.providers.procedural.landscape import Landscape
from media_pipeline.generation.providers.procedural.nebula import Nebula
from media_pipeline.generation.providers.procedural.order import Order
from media_pipeline.generation.providers.procedural.silk import Silk
from media_pipeline.generation.providers.procedural.theme import Motif, Theme
from media_pipeline.generation.providers.said import Finished, Message, Partial, Step

_STEPS_A_PREVIEW: Final = 4
_SECONDS_A_PREVIEW: Final = 0.2
"""None is shown sooner after another (`generation/previews.py`), so none is encoded."""
_FRAMES_A_PREVIEW: Final = 12


def render(order: Order) -> Generator[Message, None, None]:
    """Do the work of `order`; closing the generator ends the work. Ends with `Finished`.

    The same order gives the same bytes wherever the same builds of numpy, Pillow and x264 run.
    """
    read = theme.read(order.prompt, seed=order.seed)
    return _film(order, read) if order.frames else _picture(order, read)


def painting(read: Theme, width: int, height: int) -> Painting:
    """Set up the canvas for what `read` asks for."""
    match read.motif:
        case Motif.NEBULA:
            return Nebula(read, width, height)
        case Motif.SILK:
            return Silk(read, width, height)
        case _:
            return Landscape(read, width, height)


def _picture(order: Order, read: Theme) -> Generator[Message, None, None]:
    work = painting(read, order.width, order.height)
    total = work.steps + 1  # the last step is grain and encoding
    shown = float("-inf")
    for done, _ in enumerate(work.paint(), 1):
        yield Step(done, total)
        if done % _STEPS_A_PREVIEW == 0 and (now := time.monotonic()) - shown >= _SECONDS_A_PREVIEW:
            shown = now
            yield Partial(to_preview(work.canvas))
    data = to_png(finished(work.canvas, read.rng("grain")))
    yield Step(total, total)
    yield Finished(data)


def _film(order: Order, read: Theme) -> Generator[Message, None, None]:
    film = Film(width=order.width, height=order.height, count=order.frames, fps=order.fps)
    frames = film.frames(lambda width, height: painting(read, width, height), read.rng("grain"))
    with closing(frames):
        for done, canvas in enumerate(frames, 1):
            yield Step(done, order.frames)
            if done % _FRAMES_A_PREVIEW == 1:
                yield Partial(to_preview(canvas))
    yield Finished(film.data)
