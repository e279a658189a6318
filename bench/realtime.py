"""What a stream costs, beside its peers and beside bare sockets in the same run.

`python -m bench.realtime [--streams 1000] [--many 5000] [--rounds 12] [--only NAME,NAME] [--skip PART,PART]`;
the peers come with `uv sync --group bench`. One client process opens the streams; each server is another, and
they take turns, so that whatever else the machine does meets all of them. A server that cannot hold its
streams in time is given fewer, and that is printed. CPU is the server's own, from the scheduler; memory its
proportional set size, without the kernel's sockets. `portable` is this program through an ASGI `send`, `ours`
with connections of its own. Redis is the tests' (a binary, or the wheel). A reduced form, in two minutes:
`--streams 200 --many 1000 --crowd 2000 --rounds 2 --seconds 2`.
"""

from __future__ import annotations

import argparse
import asyncio
import operator
import resource
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import structlog
import uvloop

from bench.realtime_clients import OURS, POSITION, Server, Stream, serving, streams, until_arrived
from bench.realtime_redis import PEERS, CrowdFigures, RedisFigures, measure_crowd, measure_redis
from bench.realtime_redis import ROUNDS as REDIS_ROUNDS

NAMES = ("bare", "streaming", "sse-starlette", "fastapi", "portable", "ours")
PARTS = ("fan-out", "memory", "redis", "crowd")
SLICES = 5
EVENTS = 20
"""Of a turn: with a few the other servers' caches are measured, which each turn begins with."""
MISSED = 3
"""Changes of state that each of our streams is sent at its opening, as one that comes back."""
BURST = 16
Rows = dict[str, dict[str, float]]


class Turns:
    """What each server took in each round."""

    def __init__(self) -> None:
        self._taken: dict[str, dict[str, list[float]]] = {}

    def note(self, name: str, column: str, value: float) -> None:
        self._taken.setdefault(name, {}).setdefault(column, []).append(value)

    def middle(self) -> Rows:
        return {
            name: {column: statistics.median(values) for column, values in columns.items()}
            for name, columns in self._taken.items()
        }

    def ratio(self, column: str, name: str, other: str) -> float:
        """Return the median over the rounds of what one took for what the other took in the same round."""
        ours, theirs = self._taken[name][column], self._taken[other][column]
        return statistics.median(own / their for own, their in zip(ours, theirs, strict=True))


async def fan_out(names: list[str], count: int, rounds: int) -> Turns:
    """Let the servers take turns at opening streams and at sending to all of them."""
    turns = Turns()
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(name)) for name in names]
        for server in servers:
            await server.warm()
        positions = {server.name: await _position(server) for server in servers}
        for _ in range(SLICES):
            for server in servers:
                await _time_opening(turns, server, count // SLICES, positions[server.name])
        for _ in range(rounds):
            for server in servers:
                await _time_events(turns, server, count, events=EVENTS, burst=1)
            for server in servers:
                await _time_events(turns, server, count, events=1, burst=BURST)
    return turns


async def _position(server: Server) -> bytes:
    """Return where our streams are to begin from, with something missed; nothing for others."""
    (probe,), (begin,) = await server.open(1, tokens=[server.token("ann")])
    await server.publish(MISSED)
    probe.transport.abort()
    found = POSITION.search(begin)
    return found[1] if server.name in OURS and found else b""


async def _time_opening(turns: Turns, server: Server, count: int, since: bytes) -> None:
    cpu = server.cpu()
    await server.open(count, tokens=[server.token("ann")], since=since)
    turns.note(server.name, "set-up µs", (server.cpu() - cpu) / count * 1e6)


async def _time_events(turns: Turns, server: Server, count: int, *, events: int, burst: int) -> None:
    before, arrived = server.cpu(), Stream.arrived
    for _ in range(events):
        await server.publish(0)
    # What it costs to be asked is not what it costs to deliver.
    asked = server.cpu()
    for number in range(1, events + 1):
        await server.publish(burst)
        await until_arrived(arrived + number * burst * count)
    spent = (server.cpu() - asked - (asked - before)) / (events * burst * count) * 1e6
    turns.note(server.name, "µs/delivery" if burst == 1 else "µs in bursts", spent)


async def weigh(name: str, count: int) -> float:
    """Return KiB a stream."""
    with serving(name) as server:
        await server.warm()
        async with streams(server, 50, users=1):
            await server.publish(1)
        await asyncio.sleep(0.3)
        before = server.memory()
        async with streams(server, count, users=1):
            await asyncio.sleep(0.3)
            return (server.memory() - before) / count


@dataclass(frozen=True)
class Target:
    """What issue 4 wants of a figure."""

    what: str
    figure: float
    bound: float
    holds: Callable[[float, float], bool] = operator.le

    def __str__(self) -> str:
        sign = "≤" if self.holds is operator.le else "≥"
        verdict = "reached" if self.holds(self.figure, self.bound) else "NOT REACHED"
        return f"{self.what:<58}{self.figure:>9,.2f} {sign} {self.bound:<7g}{verdict}"


def fan_out_targets(turns: Turns, names: list[str]) -> list[Target]:
    targets = []
    for name, bound in (("ours", 1.1), ("portable", 1.3)):
        if {"bare", name} <= set(names):
            ratio = turns.ratio("µs/delivery", name, "bare")
            targets.append(Target(f"CPU a delivery, {name} for bare", ratio, bound))
            bursts = turns.ratio("µs in bursts", "bare", name)
            targets.append(Target(f"bursts, bare for {name}", bursts, 2, operator.ge))
        for peer, times in (("fastapi", 16), ("sse-starlette", 3.5)):
            if {peer, name} <= set(names):
                ratio = turns.ratio("µs/delivery", peer, name)
                targets.append(Target(f"CPU a delivery, {peer} for {name}", ratio, times, operator.ge))
        if {"sse-starlette", name} <= set(names):
            ratio = turns.ratio("set-up µs", "sse-starlette", name)
            targets.append(Target(f"set-up, sse-starlette for {name} with replay", ratio, 3, operator.ge))
    return targets


def redis_targets(figures: RedisFigures) -> list[Target]:
    if "ours" not in figures.rounds:
        return []
    lost = Target("through Redis, events lost", figures.lost("ours"), 0)
    if not figures.rivals:
        return [lost]
    p50, p99 = (figures.against_best_peer(column) for column in ("p50 ms", "p99 ms"))
    return [
        Target("through Redis, p50 for the best peer's", p50, 0.7),
        Target("through Redis, p99 for the best peer's", p99, 0.6),
        lost,
    ]


def crowd_targets(crowd: CrowdFigures) -> list[Target]:
    return [
        Target(f"{crowd.users:,} users, p99 in ms", crowd.p99_ms, 3),
        Target(f"{crowd.users:,} users, CPU of a core in %", crowd.cpu_percent, 10),
        Target(f"{crowd.users:,} users, CPU for a bare relay", crowd.cpu_percent / crowd.relay_percent, 2),
        Target(f"{crowd.users:,} users, events lost", crowd.lost, 0),
    ]


def show(title: str, rows: Rows) -> None:
    columns = list(next(iter(rows.values())))
    print(f"\n{title}\n{'':<18}" + "".join(f"{name:>16}" for name in columns))
    for name, figures in rows.items():
        print(f"{name:<18}" + "".join(f"{figures.get(column, float('nan')):>16,.2f}" for column in columns))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--many", type=int, default=5000)
    parser.add_argument("--crowd", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--only", default=",".join(dict.fromkeys((*NAMES, *PEERS))))
    parser.add_argument("--skip", default="", help=f"of {', '.join(PARTS)}")
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    names = [name for name in NAMES if name in given.only.split(",")]
    peers = [name for name in PEERS if name in given.only.split(",")]
    parts = [part for part in PARTS if part not in given.skip.split(",")]
    targets: list[Target] = []
    if "fan-out" in parts:
        turns = await fan_out(names, given.streams, given.rounds)
        show(f"{given.streams} streams of one user, one process each, medians", turns.middle())
        targets += fan_out_targets(turns, names)
    if "memory" in parts:
        weights = {name: {"KiB": await weigh(name, given.many)} for name in names}
        show(f"{given.many} streams, memory of each", weights)
        bounds = (("ours", 3), ("portable", 12))
        targets += [Target(f"KiB a stream, {n}", weights[n]["KiB"], b) for n, b in bounds if n in weights]
    if "redis" in parts:
        rounds = min(given.rounds, REDIS_ROUNDS)
        figures = await measure_redis(peers, given.streams, seconds=given.seconds, rounds=rounds)
        show(f"{given.streams} streams of {figures.users} users, through Redis, medians", figures.rows())
        targets += redis_targets(figures)
    if "crowd" in parts:
        crowd = await measure_crowd(given.crowd, seconds=given.seconds)
        targets += [] if crowd is None else crowd_targets(crowd)
    print("\n" + "\n".join(map(str, targets)))


if __name__ == "__main__":
    uvloop.run(main())
