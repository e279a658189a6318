"""The upper half of a landscape: light, a sun or moon, clouds, stars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from media_pipeline.generation.providers.procedural import noise, specks
from media_pipeline.generation.providers.procedural.canvas import lay, shine
from media_pipeline.generation.providers.procedural.noise import Plane, Planes
from media_pipeline.generation.providers.procedural.theme import Theme

_SMALL: Final = 20_000
"""Pixels from which on clouds are computed at half the size: they are soft."""


class Sky:
    """A sky above `horizon` (0..1 from the top); what does not move is painted once."""

    steps = 4

    def __init__(self, theme: Theme, width: int, height: int, *, horizon: float) -> None:
        rng = theme.rng("sky")
        self.sun = width * (0.24 + 0.52 * rng.random()), height * horizon * (0.42 + 0.4 * rng.random())
        self._radius = min(width, height) * (0.045 + 0.035 * rng.random()) * (0.75 if theme.night else 1)
        self._theme, self._horizon = theme, horizon
        self._clouds = noise.tile(rng, 256, falloff=2.0)
        self._backdrop: Planes | None = None
        count = int(min(900, 120 + width * height / 1500)) if theme.night else 0
        self._stars = specks.stars(rng, count, scale=min(width, height) / 900, lowest=horizon * 0.95)

    def paint(self, canvas: Planes, *, phase: float) -> Iterator[None]:
        """Fill the whole of `canvas` in `steps` steps."""
        if self._backdrop is None:
            self._gradient(canvas)
            yield
            self._glow(canvas)
            self._backdrop = canvas.copy()
        else:
            canvas[:] = self._backdrop
            yield
        yield
        self._stars.twinkle(canvas, self._theme.sky.shade(1.0), phase=phase)
        yield
        self._drift(canvas, phase=phase)
        yield

    def _gradient(self, canvas: Planes) -> None:
        height = canvas.shape[1]
        fall = np.clip(np.arange(height, dtype=np.float32) / (height * self._horizon), 0, 1.15)
        low, high = (0.04, 0.5) if self._theme.night else (0.3, 0.84)
        canvas[:] = self._theme.sky((low + (high - low) * fall**1.2)[:, None])

    def _glow(self, canvas: Planes) -> None:
        height, width = canvas.shape[1:]
        x, y = noise.grid(width, height, unit=1.0)
        away = np.hypot(x - np.float32(self.sun[0]), y - np.float32(self.sun[1]))
        beyond = np.clip(away - self._radius, 0, None) / min(width, height)
        light, warm = self._theme.sky.shade(1.0), self._theme.sky.shade(0.78)
        near, far = (0.3, 0.14) if self._theme.night else (0.5, 0.42)
        shine(canvas, warm, far * np.exp(-beyond / 0.3))
        shine(canvas, light, near * np.exp(-beyond / 0.07))
        lay(canvas, light, self._disc(away, x, y))

    def _disc(self, away: Plane, x: Plane, y: Plane) -> Plane:
        disc = np.clip((self._radius - away) / 1.4 + 0.5, 0, 1)
        if not self._theme.night:
            return np.asarray(disc, np.float32)
        shadow_x = self.sun[0] - self._radius * 0.55
        shadow = np.hypot(x - np.float32(shadow_x), y - np.float32(self.sun[1] - self._radius * 0.2))
        crescent = 1 - np.clip((self._radius - shadow) / 1.4 + 0.5, 0, 1)
        return np.asarray(disc * (0.05 + 0.95 * crescent), np.float32)

    def _drift(self, canvas: Planes, *, phase: float) -> None:
        height, width = canvas.shape[1:]
        bottom = min(height, round(height * min(1.0, self._horizon * 1.1)))
        coarse = 2 if width * bottom > _SMALL else 1
        x, y = noise.grid(-(-width // coarse), -(-bottom // coarse), unit=max(width, height) / coarse)
        bent = noise.bend(self._clouds, x * 0.35, y * 1.15, strength=0.06, phase=phase)
        cover = noise.enlarge(np.clip(bent.value * 0.55 - 0.05, 0, 1), width, bottom)
        fade = np.sin(np.pi * np.clip(np.arange(bottom) / bottom, 0, 1)) ** 0.7
        mask = (cover * fade[:, None] * (0.3 if self._theme.night else 0.4)).astype(np.float32)
        tone = np.clip(0.55 + 0.4 * np.linspace(0, 1, bottom, dtype=np.float32), 0, 1)
        lit = self._theme.sky(tone[:, None] * np.float32(0.62 if self._theme.night else 1.05))
        lay(canvas[:, :bottom], np.broadcast_to(lit, (3, bottom, width)), mask)
