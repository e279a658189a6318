"""Deep space: glowing gas, dark dust, stars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from media_pipeline.generation.providers.procedural import noise, specks
from media_pipeline.generation.providers.procedural.canvas import bands, shine
from media_pipeline.generation.providers.procedural.noise import Planes
from media_pipeline.generation.providers.procedural.theme import Theme

_BANDS: Final = 16


class Nebula:
    """A painting of gas lit from within."""

    steps = _BANDS + 1

    def __init__(self, theme: Theme, width: int, height: int) -> None:
        rng = theme.rng("nebula")
        self._theme = theme
        self._gas, self._dust = noise.tile(rng, falloff=1.75), noise.tile(rng, falloff=1.55)
        self._core = 0.3 + 0.4 * rng.random(), 0.3 + 0.4 * rng.random()
        self._tilt = rng.random() * np.pi
        scale = min(width, height) / 760
        self._far = specks.stars(rng, int(min(2200, 160 + width * height / 420)), scale=scale * 0.8)
        self._near = specks.stars(rng, 14, scale=scale * 2.6)
        self.canvas: Planes = np.zeros((3, height, width), np.float32)

    def paint(self, phase: float = 0.0) -> Iterator[None]:
        height = self.canvas.shape[1]
        for first, last in bands(height, _BANDS):
            if last > first:
                self.canvas[:, first:last] = self._gas_band(first, last, phase)
            yield
        self._scatter(phase)
        yield

    def moment(self, phase: float) -> None:
        """Paint with gas of half the size: it moves, so nobody sees its grain."""
        height, width = self.canvas.shape[1:]
        gas = self._gas_band(0, height, phase, fine=2)
        for plane, soft in zip(self.canvas, gas, strict=True):
            plane[...] = noise.enlarge(soft, width, height)
        self._scatter(phase)

    def _scatter(self, phase: float) -> None:
        for stars in (self._far, self._near):
            stars.twinkle(self.canvas, self._theme.sky.shade(1.0), phase=phase)

    def _gas_band(self, first: int, last: int, phase: float, *, fine: int = 1) -> Planes:
        """Return the rows `first` to `last`, one pixel for `fine` x `fine`."""
        height, width = self.canvas.shape[1:]
        unit = max(width, height)
        columns, rows = noise.grid(-(-width // fine), -(-(last - first) // fine), unit=unit / fine)
        rows += np.float32(first / unit)
        gas = noise.bend(self._gas, columns * 0.42, rows * 0.42, strength=0.10, phase=phase, reach=0.018)
        dust = noise.bend(
            self._dust, columns * 0.5 + 0.3, rows * 0.5, strength=0.05, phase=phase, reach=0.018
        ).value
        x, y = columns - self._core[0] * width / unit, rows - self._core[1] * height / unit
        along = x * np.cos(self._tilt) + y * np.sin(self._tilt)
        across = y * np.cos(self._tilt) - x * np.sin(self._tilt)
        arm = np.exp(-((along * 1.5) ** 2) - ((across + 0.09 * gas.first) * 3.6) ** 2)
        lit = arm * np.clip(0.62 + 0.42 * gas.value, 0, None) + 0.16 * np.clip(gas.second, 0, None)
        shade = np.clip(1 - 0.55 * np.clip(dust + 0.25, 0, None) * (0.4 + arm), 0.08, 1)
        band = self._theme.sky((np.clip(lit, 0, 1.15) * shade * 0.82).astype(np.float32))
        hue = self._theme.ground.blended(self._theme.sky, 0.2).shade(0.62)
        shine(band, np.roll(hue, 1), np.clip(gas.first, 0, 2) * np.float32(0.16) * arm.astype(np.float32))
        shine(band, self._theme.sky.shade(1.0), (arm**4 * 0.5 * shade).astype(np.float32))
        return band
