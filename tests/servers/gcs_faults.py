"""Faults that the fake injects by rule, and the log of what it did."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

KINDS: Final = (
    "unavailable",
    "too_many",
    "reset",
    "lost",
    "stall",
    "broken",
    "corrupt",
    "corrupt_lost",
    "cut",
)
"""
`unavailable` and `too_many`: 503 and 429, nothing done. `reset`: the connection ends, nothing done.
`lost`: done, and the connection ends before the answer. `stall`: nothing is done or said for
`seconds`, then the connection ends. `broken`: the answer's body ends half-way. `corrupt`: one bit of
the request's body, or else of the answer's media, is another. `corrupt_lost`: both at once.
`cut`: the connection ends half-way through the request's body.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests a fault meets: a share of those whose method and target fit, `times` at most."""

    kind: str
    share: float = 1.0
    times: int | None = None
    method: str = ""
    contains: str = ""
    seconds: float = 30.0

    @classmethod
    def read(cls, given: dict[str, Any]) -> Rule:
        assert given["kind"] in KINDS, given
        assert given.keys() <= {each.name for each in fields(cls)}, given
        return cls(**given)


@dataclass(slots=True)
class Entry:
    """One request: `status` is 0 where no answer was sent, `done` whether it was carried out."""

    method: str
    target: str
    precondition: str
    fault: str = ""
    status: int = 0
    done: bool = False


class Faults:
    """Draws a fault for each request, by seed, and remembers every request."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._left: list[int | None] = []
        self._dice = random.Random(0)
        self.log: list[Entry] = []

    def set(self, rules: list[dict[str, Any]], seed: int) -> None:
        self._rules = [Rule.read(rule) for rule in rules]
        self._left = [rule.times for rule in self._rules]
        self._dice = random.Random(seed)

    def draw(self, method: str, target: str) -> Rule | None:
        for place, rule in enumerate(self._rules):
            left = self._left[place]
            fits = (not rule.method or rule.method == method) and rule.contains in target
            if fits and left != 0 and self._dice.random() < rule.share:
                self._left[place] = None if left is None else left - 1
                return rule
        return None

    def entries(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self.log]


class Cut(ConnectionError):
    """The client went away in the middle of its body."""


async def corrupted(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same bytes with one bit of the first piece turned."""
    turned = False
    async for chunk in body:
        yield chunk if turned or not chunk else bytes([chunk[0] ^ 1]) + chunk[1:]
        turned = turned or bool(chunk)


async def cut(body: AsyncIterator[bytes], after: int) -> AsyncIterator[bytes]:
    """Yield `after` bytes, then end as a connection that breaks does."""
    async for chunk in body:
        if after <= len(chunk):
            yield chunk[:after]
            raise Cut
        yield chunk
        after -= len(chunk)
    raise Cut


async def stall(seconds: float) -> None:
    await asyncio.sleep(seconds)
