"""Small lights on a picture: stars that twinkle and snow that falls."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media_pipeline.generation.providers.procedural.canvas import shine
from media_pipeline.generation.providers.procedural.noise import Plane, Planes
from media_pipeline.generation.providers.procedural.palette import Colour

_REACH = 2.6
"""How many radii of a soft dot are drawn; beyond, it is fainter than one level of eight bits."""

_NEAR = 0.35
"""From this nearness (0..1) on a flake falls twice as fast."""


@dataclass(frozen=True, slots=True)
class Specks:
    """Soft dots: places 0..1 of the picture, radii in pixels, strengths 0..1."""

    x: Plane
    y: Plane
    radius: Plane
    strength: Plane
    turns: NDArray[np.int64]
    """Whole periods in one loop, so that the loop closes."""

    def twinkle(self, canvas: Planes, colour: Colour, *, phase: float) -> None:
        """Draw them in place, each brighter and darker in its own time."""
        wave = np.sin(2 * np.pi * (self.turns * phase + self.x * 7 + self.y * 5))
        strength = self.strength * (0.72 + 0.28 * wave)
        height, width = canvas.shape[1:]
        for x, y, radius, light in zip(self.x, self.y, self.radius, strength, strict=True):
            _dot(canvas, colour, x * width, y * height, radius=radius, light=light)

    def fall(self, canvas: Planes, colour: Colour, *, phase: float) -> None:
        """Draw them sinking, the big ones faster, and back above when they left below."""
        height, width = canvas.shape[1:]
        sway = 0.012 * np.sin(2 * np.pi * (phase + self.y))
        x, y = (self.x + sway) * width, (self.y + self.turns * phase) % 1 * height
        for column, row, radius, light in zip(x, y, self.radius, self.strength, strict=True):
            _dot(canvas, colour, column, row, radius=radius, light=light)


def stars(rng: np.random.Generator, count: int, *, scale: float, lowest: float = 1.0) -> Specks:
    """Scatter `count` stars above `lowest`; a few are bright, most are faint, as in a real sky."""
    magnitude = rng.random(count, np.float32) ** 7
    return Specks(
        x=rng.random(count, np.float32),
        y=rng.random(count, np.float32) * np.float32(lowest),
        radius=(0.45 + 1.5 * magnitude).astype(np.float32) * np.float32(max(0.8, scale)),
        strength=(0.25 + 0.7 * magnitude + 0.3 * rng.random(count)).clip(0, 1).astype(np.float32),
        turns=rng.integers(1, 4, count),
    )


def flakes(rng: np.random.Generator, count: int, *, scale: float) -> Specks:
    """Scatter `count` flakes; the near ones are big, soft and fast."""
    near = rng.random(count, np.float32) ** 3
    return Specks(
        x=rng.random(count, np.float32),
        y=rng.random(count, np.float32),
        radius=(0.7 + 2.6 * near).astype(np.float32) * np.float32(max(0.5, scale)),
        strength=(0.85 - 0.45 * near).astype(np.float32),
        turns=np.where(near > _NEAR, 2, 1),
    )


def _dot(canvas: Planes, colour: Colour, x: float, y: float, *, radius: float, light: float) -> None:
    height, width = canvas.shape[1:]
    reach = math.ceil(radius * _REACH)
    left, right = max(0, int(x) - reach), min(width, int(x) + reach + 1)
    top, bottom = max(0, int(y) - reach), min(height, int(y) + reach + 1)
    if left >= right or top >= bottom:
        return
    across = np.exp(-(((np.arange(left, right, dtype=np.float32) - x) / radius) ** 2))
    down = np.exp(-(((np.arange(top, bottom, dtype=np.float32) - y) / radius) ** 2))
    spot = (down[:, None] * across[None, :] * light).astype(np.float32)
    shine(canvas[:, top:bottom, left:right], colour, spot)
