"""Every queue of the comparison: how it is had, what it is asked, and in which interpreter."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
UV = ("sh", str(ROOT / "scripts/uv.sh"))
NPM = Path(sys.executable).with_name("npm")
Figures = dict[str, float]


class Absent(Exception):
    """This peer cannot be had here; the text says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A queue; `share` of the jobs is what patience allows, `fetch` gives its command in a folder."""

    name: str
    fetch: Callable[[Path], Sequence[str]]
    share: float = 1.0
    questions: Sequence[str] = ("alone", "many", "pickup", "fair")
    sqlite: bool = False


def here(module: str, *arguments: str) -> Callable[[Path], Sequence[str]]:
    """Run in the interpreter of this project."""
    return lambda _folder: (sys.executable, "-m", f"bench.peers.{module}", *arguments)


def elsewhere(module: str, python: str, *packages: str) -> Callable[[Path], Sequence[str]]:
    """Run in an environment that is made for it."""

    def fetch(folder: Path) -> Sequence[str]:
        own = folder / module
        interpreter = own / "bin" / "python"
        call(*UV, "venv", "--quiet", "--python", python, str(own))
        call(*UV, "pip", "install", "--quiet", "--python", str(interpreter), "uvloop", *packages)
        return str(interpreter), "-m", f"bench.peers.{module}"

    return fetch


def fetch_graphile(folder: Path) -> Sequence[str]:
    own = folder / "graphile"
    own.mkdir()
    call(str(NPM), "install", "--no-fund", "--no-audit", "--loglevel=error", "graphile-worker", cwd=own)
    script = ROOT / "bench/peers/graphile.mjs"
    return "env", "-C", str(own), str(NPM.with_name("node")), str(script)


def call(*command: str, cwd: Path = ROOT) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Absent(str(error)) from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Absent(lines[0] if lines else f"{command[0]} failed")


async def ask(command: Sequence[str], question: str, url: str, jobs: int, *, patience: float) -> Figures:
    """Return a peer's answer, from a process of its own; an `Absent` says what went wrong."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *command,
        question,
        url,
        str(jobs),
        cwd=ROOT,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(patience):
            out, err = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.communicate()
        raise Absent(f"no answer to {question!r} in {patience:.0f} s") from error
    lines = out.decode().strip().splitlines()
    if process.returncode or not lines:
        raise Absent((err.decode().strip().splitlines() or ["it said nothing"])[-1])
    answer: Figures = json.loads(lines[-1])
    return answer


PEERS = (
    Peer("ours", here("ours", "kept")),
    Peer("ours, bare", here("ours", "bare"), questions=("many",)),
    Peer("PgQueuer", here("pgqueuer")),
    Peer("graphile-worker", fetch_graphile),
    Peer("Oban (Python)", elsewhere("oban", "3.12", "oban")),
    Peer("SAQ", here("saq"), share=0.1),
    Peer("Procrastinate", here("procrastinate"), share=0.1),
    Peer("ours on SQLite", here("ours", "kept"), sqlite=True),
    Peer("DBOS on SQLite", elsewhere("dbos", "3.11", "dbos"), 0.04, ("alone", "many", "pickup"), sqlite=True),
)
