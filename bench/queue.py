"""How fast is the queue, beside its peers on the same PostgreSQL and on SQLite in the same run?

    uv sync --group bench
    .venv/bin/python -m bench.queue [--jobs 5000] [--many 50000] [--rounds 3] [--peers "ours;PgQueuer"]

The server is started for this run with its durable defaults (fsync on). Each peer answers each question
in a process of its own, on a database of its own; the rounds of all are interleaved and medians
count. Producer and worker share that process, so our worker is woken without Redis. Peers that are not
in the bench group are fetched into a folder of this run; what cannot be had is named with its reason.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.servers.postgres import OwnServer, own_server

from bench import queue_floor, queue_growth
from bench.peers import PEERS, Absent, Figures, Peer, ask
from bench.queue_targets import TARGETS

PATIENCE = 180.0
Found = dict[str, dict[str, list[float]]]


class Run:
    """One run: the commands of the peers that could be had, and what they answered."""

    def __init__(self, server: OwnServer, folder: Path, peers: Sequence[Peer]) -> None:
        self.server = server
        self.folder = folder
        self.commands: dict[Peer, Sequence[str]] = {}
        self.found: Found = defaultdict(lambda: defaultdict(list))
        self._asked = 0
        for peer in peers:
            try:
                self.commands[peer] = peer.fetch(folder)
            except Absent as reason:
                print(f"left out: {peer.name}: {reason}")

    async def ask_all(self, question: str, jobs: int, *, renamed: dict[str, str] | None = None) -> None:
        """Ask every peer a question; figures that have another name at this size are `renamed`."""
        for peer, command in self.commands.items():
            if question not in peer.questions:
                continue
            try:
                size = max(100, int(jobs * peer.share))
                figures = await ask(command, question, self._url(peer), size, patience=PATIENCE)
            except Absent as reason:
                print(f"no answer: {peer.name}, {question}: {reason}", flush=True)
                continue
            for name, value in figures.items():
                if renamed is None or name in renamed:
                    self.found[peer.name][(renamed or {}).get(name, name)].append(value)

    def medians(self) -> dict[str, Figures]:
        return {
            peer: {figure: statistics.median(values) for figure, values in figures.items()}
            for peer, figures in self.found.items()
        }

    def _url(self, peer: Peer) -> str:
        self._asked += 1
        if peer.sqlite:
            return str(self.folder / f"queue-{self._asked}.db")
        return self.server.create_database("bench")


async def measure(run: Run, *, jobs: int, many: int, rounds: int) -> dict[str, Figures]:
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", flush=True)
        await run.ask_all("alone", jobs // 4)
        await run.ask_all("many", jobs)
        await run.ask_all("pickup", jobs)
        await run.ask_all("fair", jobs)
        if many:
            await run.ask_all("many", many, renamed={"drain /s": f"drain of {many:,} /s"})
    return run.medians()


def report(found: dict[str, Figures]) -> None:
    """Print every figure and how ours compares, then each target and whether it was reached."""
    figures = list(dict.fromkeys(figure for of in found.values() for figure in of))
    print(f"\n{'':<20}" + "".join(f"{name:>24}" for name in found))
    for figure in figures:
        mine = found.get("ours", {}).get(figure)
        print(f"{figure:<20}" + "".join(f"{show(of.get(figure), mine):>24}" for of in found.values()))
    print(f"\n{'target':<46}{'here':>10}   {'must -> reach':<18}")
    for target in TARGETS:
        print(target.judge(found))


def show(value: float | None, mine: float | None) -> str:
    if value is None:
        return "-"
    ratio = f" ({mine / value:.2f}x)" if mine and value else ""
    return f"{value:,.2f}{ratio}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--many", type=int, default=50_000, help="the large drain; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--finished", type=int, default=1_000_000, help="rows of history; 0 leaves it out")
    parser.add_argument("--peers", default="", help="only these, by name, with semicolons")
    options = parser.parse_args()
    wanted = [name for name in options.peers.split(";") if name]
    peers = [peer for peer in PEERS if not wanted or peer.name in wanted]
    server = own_server(durable=True)
    queue_floor.report(server)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(server, Path(folder), peers)
        found = asyncio.run(measure(run, jobs=options.jobs, many=options.many, rounds=options.rounds))
    if options.finished and "ours" in found:
        found["ours"] |= asyncio.run(queue_growth.measure(server, most=options.finished))
    report(found)


if __name__ == "__main__":
    main()
