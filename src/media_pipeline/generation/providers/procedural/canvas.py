"""The picture being made: float planes, the ways to lay colour on them, and their encoding."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from media_pipeline.generation.providers.procedural.noise import Plane, Planes, grid
from media_pipeline.generation.providers.procedural.palette import Colour

SOFTWARE: Final = "Media Pipeline procedural demo (not an AI model)"
PREVIEW_SIDE: Final = 256


class Painting(Protocol):
    """A picture that is made in real steps; `canvas` shows how far it is."""

    canvas: Planes
    steps: int

    def paint(self, phase: float = 0.0) -> Iterator[None]:
        """Paint the moment `phase` (0..1, a closed circle), giving control back after each step."""
        ...

    def moment(self, phase: float) -> None:
        """Paint that moment at once, without what would cost a film too much."""
        ...


def bands(height: int, count: int) -> Iterator[tuple[int, int]]:
    """Cut `height` rows into `count` bands, each as first and last (exclusive); some may be empty."""
    return itertools.pairwise(height * index // count for index in range(count + 1))


def lay(canvas: Planes, colour: Planes | Colour, mask: Plane) -> None:
    """Cover `canvas` in place with `colour` as far as `mask` (0..1) says."""
    over = colour if colour.ndim == canvas.ndim else colour[:, None, None]
    canvas += (over - canvas) * mask


def shine(canvas: Planes, colour: Colour, light: Plane) -> None:
    """Add `light` of `colour` in place, as a screen does: nothing burns out."""
    canvas += (1 - canvas) * (colour[:, None, None] * light)


def finished(canvas: Planes, rng: np.random.Generator) -> Planes:
    """Return the canvas with a soft vignette and the grain that keeps gradients free of bands."""
    height, width = canvas.shape[1:]
    x, y = grid(width, height, unit=1.0)
    x, y = x * (2 / max(1, width - 1)) - 1, y * (2 / max(1, height - 1)) - 1
    vignette = 1 - 0.16 * np.clip(x * x + y * y - 0.4, 0, 2)
    grain = rng.random((height, width), np.float32) * np.float32(0.012) - np.float32(0.006)
    return np.asarray(canvas * vignette + grain, np.float32)


def to_bytes(canvas: Planes) -> NDArray[np.uint8]:
    """Return rows of red, green, blue bytes."""
    rounded = np.clip(canvas, 0, 1) * np.float32(255) + np.float32(0.5)
    return np.ascontiguousarray(rounded.astype(np.uint8).transpose(1, 2, 0))


def to_png(canvas: Planes) -> bytes:
    """Encode as PNG that says what made it."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", SOFTWARE)
    out = io.BytesIO()
    Image.fromarray(to_bytes(canvas)).save(out, "PNG", pnginfo=text, compress_level=4)
    return out.getvalue()


def to_preview(canvas: Planes) -> bytes:
    """Encode a small WebP of the canvas as it is now, `PREVIEW_SIDE` at its longest."""
    coarse = max(1, max(canvas.shape[1:]) // (2 * PREVIEW_SIDE))
    picture = Image.fromarray(to_bytes(canvas[:, ::coarse, ::coarse]))
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=60, method=2)
    return out.getvalue()
