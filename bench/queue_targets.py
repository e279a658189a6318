"""What the queue is to reach, as ratios within one run: data, and whether it was reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Target:
    """`must` and `reach` of a figure of ours, divided by a peer's where one is named; or at most so much."""

    figure: str
    peer: str | None
    must: float
    reach: float
    ours: str = "ours"

    @property
    def at_most(self) -> bool:
        return self.reach < self.must

    def judge(self, found: Mapping[str, Figures]) -> str:
        value = self._value(found)
        whose = f" vs {self.peer}" if self.peer else ""
        sign = "<=" if self.at_most else ">="
        head = f"{self.figure}{whose}{self.ours.removeprefix('ours')}"
        wanted = f"{sign} {self.must:g} -> {self.reach:g}"
        if value is None:
            return f"{head:<46}{'-':>10}   {wanted:<18} not measured"
        return f"{head:<46}{value:>10.2f}   {wanted:<18} {self._verdict(value)}"

    def _value(self, found: Mapping[str, Figures]) -> float | None:
        mine = found.get(self.ours, {}).get(self.figure)
        if self.peer is None or mine is None:
            return mine
        theirs = found.get(self.peer, {}).get(self.figure)
        return None if not theirs else mine / theirs

    def _verdict(self, value: float) -> str:
        def holds(limit: float) -> bool:
            return value <= limit if self.at_most else value >= limit

        return "REACHED" if holds(self.reach) else "must kept" if holds(self.must) else "NOT REACHED"


TARGETS = (
    Target("enqueue 1x1 /s", "PgQueuer", 1.1, 1.5),
    Target("32 producers /s", "PgQueuer", 8.0, 15.0),
    Target("drain /s", "PgQueuer", 1.2, 2.0),
    Target("drain of 50,000 /s", "PgQueuer", 2.0, 3.5),
    Target("drain of 50,000 /s", "graphile-worker", 0.8, 1.2),
    Target("drain /s", "PgQueuer", 1.2, 2.0, ours="ours, bare"),
    Target("drain of 50,000 /s", "PgQueuer", 2.0, 3.5, ours="ours, bare"),
    Target("drain of 50,000 /s", "graphile-worker", 0.8, 1.2, ours="ours, bare"),
    Target("CPU us/job", None, 40.0, 20.0, ours="ours, bare"),
    Target("CPU us/job", "PgQueuer", 0.95, 0.48, ours="ours, bare"),
    Target("drain /s", "Procrastinate", 50.0, 50.0),
    Target("pickup p50 ms", "PgQueuer", 0.75, 0.6),
    Target("pickup p99 ms", "PgQueuer", 1.0, 0.6),
    Target("pickup p99 ms", "graphile-worker", 1.0, 0.6),
    Target("pickup p99 ms", "Oban (Python)", 1.0, 0.6),
    Target("pickup p99 ms", "SAQ", 1.0, 0.6),
    Target("pickup p99 ms", "Procrastinate", 1.0, 0.6),
    Target("idle CPU %", None, 0.5, 0.3),
    Target("CPU us/job", None, 40.0, 20.0),
    Target("claim at 1,000,000 / at 1,000", None, 1.4, 1.15),
    Target("light wait p99 jobs", None, 2.0, 1.2),
    Target("of capacity", "PgQueuer", 0.9, 0.97),
    Target("drain /s", "DBOS on SQLite", 100.0, 250.0, ours="ours on SQLite"),
)
