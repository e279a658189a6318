"""Silk: a shaded, folded field, and thousands of fine threads that drift along it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from media_pipeline.generation.providers.procedural import noise
from media_pipeline.generation.providers.procedural.canvas import bands
from media_pipeline.generation.providers.procedural.noise import Bent, Plane, Planes
from media_pipeline.generation.providers.procedural.theme import Theme

_BANDS: Final = 10
_ROWS: Final = 24
"""A band has no fewer rows, so that small pictures are not all overhead."""
_ROUNDS: Final = 10
_MOVES: Final = 14
"""How often every thread moves in one round at most, in all by 14/900 of the longer side."""
_PIXELS: Final = 0.5
"""One move is no shorter, so that threads of small pictures do not stand still."""
_GAP: Final = 2
"""The wind is known at every second pixel: it is smooth."""


class Silk:
    """A painting of folded cloth."""

    def __init__(self, theme: Theme, width: int, height: int) -> None:
        rng = theme.rng("silk")
        self._palette = theme.sky
        self._tile = noise.tile(rng, 256, falloff=2.7)
        self._turn = np.float32(rng.random() * 2 * np.pi)
        self._rng = rng
        self._bands = max(1, min(_BANDS, height // _ROWS))
        self._moves = max(1, min(_MOVES, round(_MOVES * max(height, width) / 900 / _PIXELS)))
        self.steps = self._bands + _ROUNDS
        self.canvas: Planes = np.zeros((3, height, width), np.float32)

    def paint(self, phase: float = 0.0) -> Iterator[None]:
        yield from self._cloth(phase)
        yield from self._threads(phase)

    def moment(self, phase: float) -> None:
        """Paint the cloth alone: threads that began anew in each frame would flicker."""
        for _ in self._cloth(phase):
            pass

    def _cloth(self, phase: float) -> Iterator[None]:
        height, width = self.canvas.shape[1:]
        for first, last in bands(height, self._bands):
            above = max(0, first - 1)
            columns, rows = noise.grid(width, last - above, unit=1.0)
            if last > first:
                field = self._field(columns, rows + np.float32(above), phase)
                self.canvas[:, first:last] = self._shaded(field)[:, first - above :]
            yield

    def _field(self, columns: Plane, rows: Plane, phase: float) -> Bent:
        zoom = np.float32(0.55 / max(self.canvas.shape))
        return noise.bend(self._tile, columns * zoom, rows * zoom, strength=0.17, phase=phase)

    def _shaded(self, field: Bent) -> Planes:
        fine = max(self.canvas.shape) / 1024
        value = field.value
        down = np.gradient(value, axis=0) if value.shape[0] > 1 else np.zeros_like(value)
        light = np.clip(0.5 + 26 * fine * (np.gradient(value, axis=1) - down), 0.12, 1.5).astype(np.float32)
        colour = self._palette(0.36 + 0.25 * value + 0.08 * field.second)
        colour *= 1 - 0.25 * np.clip(field.first, 0, 1)
        colour += 0.12 * self._palette.shade(1.0)[:, None, None] * np.clip(field.second, 0, 1) ** 2
        return np.asarray(np.clip(colour * (0.55 + 0.72 * light), 0, 1), np.float32)

    def _threads(self, phase: float) -> Iterator[None]:
        """Let threads drift from random places; each leaves a little light at every move."""
        height, width = self.canvas.shape[1:]
        count = width * height // 46 + 200
        x, y = self._rng.random(count, np.float32) * width, self._rng.random(count, np.float32) * height
        tint = self._palette(0.5 + 0.5 * self._rng.random(count, dtype=np.float32))
        wind, cloth, glow = self._wind(phase), self.canvas.copy(), np.zeros_like(self.canvas)
        for _ in range(_ROUNDS):
            trail = []
            for _ in range(self._moves):
                x, y = _moved(x, y, wind)
                trail.append(_places(x, y, width=width, height=height))
            _drop(glow, np.concatenate(trail), tint)
            self.canvas[:] = 1 - (1 - cloth) * np.exp(-0.13 * _MOVES / self._moves * glow)
            yield

    def _wind(self, phase: float) -> Plane:
        """Return how far a thread moves in one go, across and down, for every `_GAP`th pixel."""
        height, width = self.canvas.shape[1:]
        columns, rows = noise.grid(-(-width // _GAP), -(-height // _GAP), unit=1 / _GAP)
        field = self._field(columns, rows, phase)
        reach = max(height, width) / 900 * _MOVES / self._moves
        angle = 2.2 * field.value + 1.1 * field.second + self._turn
        return np.asarray(np.stack([np.cos(angle), np.sin(angle)]) * reach, np.float32)


def _moved(x: Plane, y: Plane, wind: Plane) -> tuple[Plane, Plane]:
    """Move every thread by the wind where it is; outside, by that of the nearest edge."""
    _, height, width = wind.shape
    row = np.minimum(np.maximum(y / _GAP, 0), height - 1).astype(np.int32)
    column = np.minimum(np.maximum(x / _GAP, 0), width - 1).astype(np.int32)
    across, down = wind.reshape(2, -1).take(row * np.int32(width) + column, axis=1)
    return x + across, y + down


def _places(x: Plane, y: Plane, *, width: int, height: int) -> NDArray[np.int32]:
    """Return the pixel every thread is on, one past the last for those outside the picture."""
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    place = y.astype(np.int32) * np.int32(width) + x.astype(np.int32)
    return np.where(inside, place, np.int32(width * height))


def _drop(glow: Planes, places: NDArray[np.int32], tint: Planes) -> None:
    """Add `tint` at `places`, which hold all threads once for every move."""
    _, height, width = glow.shape
    moves = len(places) // tint.shape[1]
    for plane, light in zip(glow, tint, strict=True):
        added = np.bincount(places, np.tile(light, moves), height * width + 1)[:-1]
        plane[...] += added.reshape(height, width)
