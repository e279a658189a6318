"""Smooth random fields: tileable 1/f noise, sampled and bent.

A tile repeats in both directions over the unit square, so a field that moves on a circle through it
comes back to where it began: that is how a film loops without a seam.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]
"""One value a pixel, indexed [row, column]."""
Planes = NDArray[np.float32]
"""Red, green and blue planes, 0..1, indexed [channel, row, column]."""


def tile(rng: np.random.Generator, side: int = 512, *, falloff: float = 1.9) -> Plane:
    """Return `side`² of tileable noise with mean 0 and deviation 1; more `falloff` is smoother.

    The spectrum of each frequency f has the amplitude f^-falloff and a random phase.
    """
    amplitude = _amplitude(side, falloff)
    spectrum = amplitude * np.exp(2j * np.pi * rng.random(amplitude.shape))
    field = np.fft.irfft2(spectrum, s=(side, side))
    return _plane((field - field.mean()) / field.std())


@functools.cache
def _amplitude(side: int, falloff: float) -> NDArray[np.float64]:
    rows = np.fft.fftfreq(side)[:, None] * side
    columns = np.fft.rfftfreq(side)[None, :] * side
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = 1.0
    amplitude = frequency**-falloff
    amplitude[0, 0] = 0.0
    return np.asarray(amplitude)


def sample(tile: Plane, x: Plane, y: Plane) -> Plane:
    """Read `tile` at `x`, `y` (in tiles, wrapping), bilinear."""
    side = tile.shape[0]
    column, row = x * np.float32(side), y * np.float32(side)
    left, top = np.floor(column).astype(np.int32), np.floor(row).astype(np.int32)
    across, down = column - left, row - top
    left, right = left % side, (left + 1) % side
    top, bottom = top % side * side, (top + 1) % side * side
    flat = tile.reshape(-1)
    upper = _mix(flat[top + left], flat[top + right], across)
    return _mix(upper, _mix(flat[bottom + left], flat[bottom + right], across), down)


@dataclass(frozen=True, slots=True)
class Bent:
    """A field bent by itself: its `value` and the two displacements that bent it."""

    value: Plane
    first: Plane
    second: Plane


def bend(
    tile: Plane, x: Plane, y: Plane, *, strength: float, phase: float = 0.0, reach: float = 0.05
) -> Bent:
    """Sample `tile` at places displaced by its own values, twice.

    `phase` 0..1 is one closed circle of the radius `reach`. This is domain warping as described by
    Inigo Quilez ("domain warping", 2002).
    """
    turn = 2 * math.pi * phase
    dx, dy = np.float32(reach * math.cos(turn)), np.float32(reach * math.sin(turn))
    k = np.float32(strength)
    first = sample(tile, x + dx, y + dy)
    other = sample(tile, x + np.float32(0.37) - dy, y + np.float32(0.71) + dx)
    first_bent, other_bent = x + k * first, y + k * other
    second = sample(tile, first_bent + np.float32(0.13), other_bent + np.float32(0.59))
    third = sample(tile, first_bent + np.float32(0.83), other_bent + np.float32(0.29) + dx)
    return Bent(sample(tile, x + k * second + dx, y + k * third), first, second)


def grid(width: int, height: int, *, unit: float) -> tuple[Plane, Plane]:
    """Return the x and y of every pixel, counted in `unit` pixels."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(unit)
    return columns, rows


def enlarge(field: Plane, width: int, height: int) -> Plane:
    """Stretch a smooth field to `width` x `height`, bicubic."""
    if field.shape == (height, width):
        return field
    picture = Image.fromarray(field)
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), np.float32)


def _mix(one: Plane, other: Plane, share: Plane) -> Plane:
    return _plane(one + (other - one) * share)


def _plane(values: NDArray[np.floating]) -> Plane:
    return values.astype(np.float32, copy=False)
