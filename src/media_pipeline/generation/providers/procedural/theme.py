"""What a prompt asks for, as far as words can be read without a model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from media_pipeline.generation.providers.procedural.palette import STOPS, Palette, called_for, words_of


class Motif(StrEnum):
    """What stands in the picture."""

    MOUNTAINS = "mountains"
    FOREST = "forest"
    DUNES = "dunes"
    SEA = "sea"
    CITY = "city"
    NEBULA = "nebula"
    SILK = "silk"


_MOTIFS: Final = {
    Motif.SEA: "ocean sea water harbour harbor lake coast beach boat ship sail bay island river wave",
    Motif.FOREST: "forest tree wood jungle pine meadow park",
    Motif.DUNES: "desert dune sand sahara mars",
    Motif.CITY: "city skyline town street tokyo paris london york berlin metropolis building",
    Motif.MOUNTAINS: "mountain valley hill alpine peak canyon glacier volcano landscape autumn winter "
    "snow snowy fox sunset sunrise dawn dusk moon castle dragon",
    Motif.NEBULA: "nebula galaxy space cosmos cosmic universe supernova star starry planet orbit astronaut",
}
_TIMES: Final = ("sunset", "dawn", "night", "storm", "day")
_NIGHT: Final = frozenset(["night", "moon", "moonlight", "moonlit", "midnight", "starry", "star"])
_SNOW: Final = frozenset(["snow", "snowy", "winter", "snowfall", "blizzard"])


@dataclass(frozen=True, slots=True)
class Theme:
    """What to paint; the same prompt and seed always give the same theme."""

    motif: Motif
    sky: Palette
    ground: Palette
    night: bool
    snow: bool
    entropy: int

    def rng(self, purpose: str) -> np.random.Generator:
        """Return the random numbers for `purpose`, independent of how many others were drawn."""
        return np.random.default_rng([self.entropy, *purpose.encode()])


def read(prompt: str, *, seed: int) -> Theme:
    """Read `prompt`; what its words leave open, `seed` decides."""
    words = words_of(prompt)
    entropy = _entropy(prompt, seed)
    names = called_for(words) or [_any_palette(entropy)]
    sky, ground = _colours(names)
    return Theme(
        motif=_motif(words),
        sky=sky,
        ground=ground,
        night=bool(_NIGHT & set(words)),
        snow=bool(_SNOW & set(words)),
        entropy=entropy,
    )


def _motif(words: list[str]) -> Motif:
    present = set(words)
    return next((motif for motif, text in _MOTIFS.items() if present & set(text.split())), Motif.SILK)


def _colours(names: list[str]) -> tuple[Palette, Palette]:
    """The time of day colours the sky; the place colours the ground, in the light of that sky."""
    time = next((name for name in (*_TIMES, "snow") if name in names), names[0])
    place = next((name for name in names if name != time), time)
    sky = Palette.named(time)
    if time == "night" and place != time:
        return sky, Palette.named(place).blended(sky, 0.25).dimmed(0.72)
    return sky, Palette.named(place).blended(sky, 0.45)


def _any_palette(entropy: int) -> str:
    names = list(STOPS)
    return names[entropy % len(names)]


def _entropy(prompt: str, seed: int) -> int:
    text = f"{' '.join(prompt.lower().split())}|{seed}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
