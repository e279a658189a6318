"""A landscape in layers: sky, ranges from the haze to the front, water, snow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from media_pipeline.generation.providers.procedural import noise, ridge, specks, water
from media_pipeline.generation.providers.procedural.noise import Plane, Planes
from media_pipeline.generation.providers.procedural.palette import Colour
from media_pipeline.generation.providers.procedural.ridge import Ridge
from media_pipeline.generation.providers.procedural.sky import Sky
from media_pipeline.generation.providers.procedural.theme import Motif, Theme


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a motif is laid out: `horizon` 0..1 from the top, `ranges` of hills, `spread` of their feet."""

    horizon: float
    ranges: int
    spread: float
    contrast: float


_PLANS: Final = {
    Motif.MOUNTAINS: _Plan(horizon=0.55, ranges=13, spread=0.50, contrast=0.22),
    Motif.FOREST: _Plan(horizon=0.56, ranges=8, spread=0.48, contrast=0.0),
    Motif.DUNES: _Plan(horizon=0.62, ranges=9, spread=0.46, contrast=0.50),
    Motif.CITY: _Plan(horizon=0.66, ranges=7, spread=0.40, contrast=0.06),
    Motif.SEA: _Plan(horizon=0.56, ranges=4, spread=0.03, contrast=0.12),
}
_SWAY: Final = 0.03
"""How far the nearest range moves in a film, of the longer side; the far ones move less."""


class Landscape:
    """A painting of hills, dunes, woods, a town or the sea."""

    def __init__(self, theme: Theme, width: int, height: int) -> None:
        self._theme, self._plan = theme, _PLANS[theme.motif]
        rng = theme.rng("land")
        self._tile, self._soft = noise.tile(rng), noise.tile(rng, 256, falloff=2.5)
        self._lamps = rng.random((64, 64), np.float32)
        self._sky = Sky(theme, width, height, horizon=self._plan.horizon)
        self._fleet = [(rng.random(), rng.random()) for _ in range(int(rng.integers(2, 5)))]
        self._flakes = specks.flakes(rng, 240 if theme.snow else 0, scale=min(width, height) / 700)
        self.canvas: Planes = np.zeros((3, height, width), np.float32)
        self.steps = Sky.steps + self._plan.ranges + 2

    def paint(self, phase: float = 0.0) -> Iterator[None]:
        yield from self._sky.paint(self.canvas, phase=phase)
        for index in range(self._plan.ranges):
            ridge.paint(self.canvas, self._range(index, sway=math.sin(2 * math.pi * phase)), self._lamps)
            yield
        if self._theme.motif is Motif.SEA:
            self._flood(phase)
        yield
        self._flakes.fall(self.canvas, self._theme.sky.shade(1.0), phase=phase)
        yield

    def moment(self, phase: float) -> None:
        for _ in self.paint(phase):
            pass

    def _range(self, index: int, *, sway: float) -> Ridge:
        """Make range `index`, 0 the farthest; nearer ranges are darker, clearer and lower."""
        height, width = self.canvas.shape[1:]
        near = index / max(1, self._plan.ranges - 1)
        unit = max(width, height)
        x = np.arange(width, dtype=np.float32) / np.float32(unit) + np.float32(
            0.173 * index + sway * _SWAY * near
        )
        rise = self._profile(x, near, row=0.031 + 0.073 * index) * min(1.0, unit / height * 0.85)
        foot = self._plan.horizon - 0.015 + self._plan.spread * near**1.25
        top = (height * (foot - rise)).astype(np.float32)
        haze, dark = (0.4 if self._theme.night else 0.6) * (1 - near) ** 0.9, 0.03
        return Ridge(
            top=top,
            light=self._light(rise, width),
            crest=self._tone(dark + haze, near),
            mist=self._tone(dark + haze + 0.28 * (1 - 0.55 * near), near),
            fade=height * (0.14 + 0.12 * near),
            contrast=self._plan.contrast * (0.45 + 0.55 * near),
            cap=self._snow(near),
            window=self._window(near, unit),
        )

    def _profile(self, x: Plane, near: float, *, row: float) -> Plane:
        motif = Motif.MOUNTAINS if self._theme.motif is Motif.SEA else self._theme.motif
        if self._theme.motif is Motif.SEA:
            near *= 0.15
        return ridge.profile(motif, self._tile, self._soft, x, near=near, row=row)

    def _light(self, rise: Plane, width: int) -> Plane:
        blur = max(1, width // 160)
        slope = np.gradient(
            np.convolve(np.pad(rise, blur, "edge"), np.ones(2 * blur + 1) / (2 * blur + 1), "valid")
        )
        toward = -1.0 if self._sky.sun[0] > width / 2 else 1.0
        return np.asarray(np.tanh(toward * slope * width * 1.1), np.float32)

    def _tone(self, place: float, near: float) -> Colour:
        """Far ranges take the colour of the air, near ones their own."""
        air, own = self._theme.sky.shade(place), self._theme.ground.shade(place)
        return np.asarray(air + (own - air) * (0.25 + 0.75 * near), np.float32)

    def _snow(self, near: float) -> float:
        """Rows of snow below the edge: a frost on trees and roofs, a cap on mountains."""
        deep = 0.05 if self._theme.motif is Motif.MOUNTAINS else 0.009
        return self.canvas.shape[1] * deep * (0.3 + near) if self._theme.snow else 0.0

    def _window(self, near: float, unit: int) -> float:
        lit = self._theme.motif is Motif.CITY and near > 0.25  # noqa: PLR2004 - the haze swallows farther lamps
        return unit * (0.004 + 0.004 * near) if lit else 0.0

    def _flood(self, phase: float) -> None:
        height, width = self.canvas.shape[1:]
        shore = round(height * (self._plan.horizon + 0.012))
        water.reflect(self.canvas, shore, self._theme, self._soft, sun=self._sky.sun[0], phase=phase)
        for index, (across, away) in enumerate(sorted(self._fleet, key=lambda boat: boat[1])):
            row = shore + (height - shore) * (0.05 + 0.33 * away**1.5)
            bob = math.sin(2 * math.pi * (phase + index * 0.37))
            place = width * (0.1 + 0.8 * across) + bob * width * 0.003, row + bob * height * 0.002
            size = min(width, height) * (0.05 + 0.15 * away)
            water.sail(self.canvas, self._theme, place=place, size=size, tilt=2.5 * bob)
