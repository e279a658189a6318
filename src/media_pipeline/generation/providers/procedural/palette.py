"""Colours: five stops from dark to light, and the words that call for them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from media_pipeline.generation.providers.procedural.noise import Plane, Planes

Colour = NDArray[np.float32]
"""Red, green, blue, 0..1."""

STOPS: Final = {
    "sunset": "#1d0f45 #6b1d6e #d6456b #ff9a5e #ffe6ad",
    "dawn": "#2a2a5c #6f5a9b #d98aa8 #f9bfa0 #fff0d6",
    "day": "#123a63 #2f78ad #6fb5d6 #b9e0ea #fdf7e4",
    "night": "#040714 #0e1c44 #274a8c #6f97d6 #e3edff",
    "storm": "#10151c #2b3744 #566673 #94a3a8 #e2e6e0",
    "ocean": "#03132b #0b3c5d #1f7a8c #7fd1c7 #f2f7e9",
    "forest": "#081a14 #174433 #3f7f4c #a9c47a #f4f0c8",
    "snow": "#16243c #3b5c8a #86abcc #cfe1ec #ffffff",
    "desert": "#2e1710 #8a4526 #d38347 #f1bf7d #fff0d2",
    "fire": "#180405 #6a0c0e #d0361c #ff8d2e #ffe9ac",
    "space": "#05041a #25146b #7a2fb0 #e46fc0 #ffe8f6",
    "rose": "#2a0a1e #7d1e4e #cf4d7d #f4a3b5 #fff0ea",
    "gold": "#120d07 #4a3212 #a87427 #e8c069 #fff7da",
    "mint": "#06211f #0f5e56 #35a88f #a2e3c4 #f7fff4",
    "violet": "#150a2e #41247a #8450c4 #c59bec #f7edff",
    "dream": "#1d1a44 #5b4b9e #b58bd6 #f5b8c9 #fff3e0",
    "silver": "#0b0d12 #343a46 #78828f #bcc4cb #fafbfc",
    "autumn": "#1c0e0a #64281a #b9552a #e79c4b #fbe8b8",
}
WORDS: Final = {
    "sunset": "sunset dusk evening sundown fox twilight",
    "dawn": "dawn sunrise morning",
    "day": "day noon sky summer sunny spring",
    "night": "night moon moonlight midnight star starry starlight moonlit",
    "storm": "storm stormy rain rainy fog foggy mist misty cloud thunder grey gray",
    "ocean": "ocean sea water wave harbour harbor lake coast beach river boat ship sail bay island blue teal",
    "forest": "forest tree wood jungle garden pine green meadow valley grass leaf hill moss",
    "snow": "snow snowy winter ice icy frost glacier mountain alpine arctic peak",
    "desert": "desert dune sand sahara canyon orange mars",
    "fire": "fire lava flame dragon ember volcano red inferno",
    "space": "space nebula galaxy planet cosmos cosmic universe supernova purple neon",
    "rose": "rose flower love blossom cherry pink heart petal sakura",
    "gold": "gold golden honey amber brass yellow wheat",
    "mint": "mint emerald jade turquoise aurora",
    "violet": "violet lavender lilac amethyst magic",
    "dream": "dream pastel unicorn candy soft music",
    "silver": "silver steel chrome metal black white marble smoke mono robot city skyline",
    "autumn": "autumn fall copper rust chestnut brown coffee wood",
}


class Palette:
    """A way from dark to light; `palette(t)` gives the colours at `t` 0..1."""

    _SHADES: Final = 2048

    def __init__(self, stops: NDArray[np.float32]) -> None:
        self.stops = stops
        place = np.linspace(0, len(stops) - 1, self._SHADES)
        index = np.minimum(place.astype(int), len(stops) - 2)
        share = (place - index)[:, None]
        smooth = share * share * (3 - 2 * share)
        shades = stops[index] * (1 - smooth) + stops[index + 1] * smooth
        self._table = np.ascontiguousarray(shades.T, dtype=np.float32)

    @classmethod
    def named(cls, name: str) -> Palette:
        """Return the palette called `name`."""
        return cls(np.array([_parse(stop) for stop in STOPS[name].split()], np.float32))

    def __call__(self, place: Plane) -> Planes:
        """Colour every value of `place`; the channels come first."""
        last = self._SHADES - 1
        return self._table[:, np.clip(place * np.float32(last), 0, last).astype(np.int32)]

    def shade(self, place: float) -> Colour:
        """Return one colour."""
        return self._table[:, round(min(1.0, max(0.0, place)) * (self._SHADES - 1))]

    def blended(self, other: Palette, share: float) -> Palette:
        """Return the palette that lies `share` of the way to `other`."""
        return Palette((self.stops * (1 - share) + other.stops * share).astype(np.float32))

    def dimmed(self, light: float) -> Palette:
        """Return the palette with `light` of its brightness."""
        return Palette((self.stops * light).astype(np.float32))


def words_of(prompt: str) -> list[str]:
    """Return the words of `prompt` in lower case, a plural also without its s."""
    words = "".join(c if c.isalpha() else " " for c in prompt.lower()).split()
    return [form for word in words for form in dict.fromkeys((word, word.removesuffix("s")))]


def called_for(words: list[str]) -> list[str]:
    """Return the names of the palettes that `words` call for, in their order."""
    callers = {word: name for name, text in WORDS.items() for word in text.split()}
    return list(dict.fromkeys(callers[word] for word in words if word in callers))


def _parse(stop: str) -> list[float]:
    return [int(stop[i : i + 2], 16) / 255 for i in (1, 3, 5)]
