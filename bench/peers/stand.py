"""What every queue is asked, one process a question; it answers with one line of JSON.

    python -m bench.peers.<name> QUESTION URL JOBS

Nothing here is ours: a peer with an interpreter of its own imports this file too. Every enqueue is
awaited until it is durable, every drain ends with the last durable end, jobs do nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

PRODUCERS, SLOTS, PICKUPS, USERS = 32, 100, 100, 100
TEXT = "a harbour at dusk, layered hills, warm light"
FAIR_SLOTS, LENGTH, BACKLOG, LIGHT = 20, 0.05, 2_000, 40
"""One user asks for so many jobs of so many seconds at once, others then for single ones, ten a second."""

Handle = Callable[[int], Awaitable[None]]
Figures = dict[str, float]


class Contender(Protocol):
    """A queue with a fresh database."""

    async def open(self, url: str, *, slots: int) -> None: ...

    async def enqueue(self, number: int, user: str) -> None:
        """Keep a job of a user, where users are known, durable on return."""
        ...

    def working(self, handle: Handle) -> AbstractAsyncContextManager[None]:
        """Run a worker that awaits `handle` with each job's number."""
        ...

    async def left(self) -> int:
        """Return how many jobs have not durably ended."""
        ...

    async def aclose(self) -> None: ...


async def enqueue_rate(queue: Contender, *, jobs: int, producers: int) -> float:
    numbers = iter(range(jobs))

    async def produce() -> None:
        for number in numbers:
            await queue.enqueue(number, f"user-{number % USERS}")

    began = time.perf_counter()
    await asyncio.gather(*(produce() for _ in range(producers)))
    return jobs / (time.perf_counter() - began)


async def ask_alone(queue: Contender, jobs: int) -> Figures:
    return {"enqueue 1x1 /s": await enqueue_rate(queue, jobs=jobs, producers=1)}


async def ask_many(queue: Contender, jobs: int) -> Figures:
    """Enqueue with many producers, then drain; its CPU is the worker's process alone."""
    kept = await enqueue_rate(queue, jobs=jobs, producers=PRODUCERS)
    cpu, began = time.process_time(), time.perf_counter()
    async with counting(queue, jobs) as over:
        await over.wait()
        while await queue.left():  # noqa: ASYNC110 - the peers have no event for it
            await asyncio.sleep(0.002)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"32 producers /s": kept, "drain /s": jobs / seconds, "CPU us/job": cpu / jobs * 1e6}


@contextlib.asynccontextmanager
async def counting(queue: Contender, jobs: int) -> AsyncIterator[asyncio.Event]:
    seen, over = 0, asyncio.Event()

    async def handle(_number: int) -> None:
        nonlocal seen
        seen += 1
        if seen >= jobs:
            over.set()

    async with queue.working(handle):
        yield over


async def ask_pickup(queue: Contender, jobs: int) -> Figures:
    """Milliseconds from before an enqueue to its job's start, one at a time; then an idle worker's CPU."""
    asked: dict[int, float] = {}
    waits: list[float] = []
    picked = asyncio.Event()

    async def handle(number: int) -> None:
        waits.append((time.perf_counter() - asked[number]) * 1e3)
        picked.set()

    async with queue.working(handle):
        await asyncio.sleep(0.5)
        for number in range(min(jobs, PICKUPS)):
            picked.clear()
            asked[number] = time.perf_counter()
            await queue.enqueue(number, "user-0")
            await picked.wait()
            await asyncio.sleep(0.02)
        await asyncio.sleep(1.0)
        cpu = time.process_time()
        await asyncio.sleep(4.0)
        idle = (time.process_time() - cpu) / 4.0
    return {"pickup p50 ms": at(waits, 0.5), "pickup p99 ms": at(waits, 0.99), "idle CPU %": idle * 100}


async def ask_fair(queue: Contender, jobs: int) -> Figures:  # noqa: ARG001 - its size is its point
    """How long a light user's single jobs wait behind another's backlog, in job lengths, and throughput."""
    asked: dict[int, float] = {}
    waits: list[float] = []
    done = 0
    over = asyncio.Event()

    async def handle(number: int) -> None:
        nonlocal done
        if number in asked:
            waits.append((time.perf_counter() - asked[number]) / LENGTH)
        await asyncio.sleep(LENGTH)
        done += 1
        if done >= BACKLOG + LIGHT:
            over.set()

    await asyncio.gather(*(queue.enqueue(number, "heavy") for number in range(BACKLOG)))
    began = time.perf_counter()
    async with queue.working(handle):
        for number in range(BACKLOG, BACKLOG + LIGHT):
            asked[number] = time.perf_counter()
            await queue.enqueue(number, f"light-{number % 10}")
            await asyncio.sleep(0.1)
        await over.wait()
        rate = done / (time.perf_counter() - began)
    capacity = FAIR_SLOTS / LENGTH
    return {"light wait p99 jobs": at(waits, 0.99), "of capacity": rate / capacity}


def at(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)] if values else float("inf")


QUESTIONS: dict[str, Callable[[Contender, int], Awaitable[Figures]]] = {
    "alone": ask_alone,
    "many": ask_many,
    "pickup": ask_pickup,
    "fair": ask_fair,
}


async def answer(queue: Contender, question: str, url: str, jobs: int) -> Figures:
    await queue.open(url, slots=FAIR_SLOTS if question == "fair" else SLOTS)
    try:
        return await QUESTIONS[question](queue, jobs)
    finally:
        await queue.aclose()


def serve(queue: Contender) -> None:
    """Answer the question on the command line."""
    import uvloop  # noqa: PLC0415 - every peer has it, in its own interpreter

    logging.disable(logging.WARNING)
    question, url, jobs = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(answer(queue, question, url, int(jobs)))), flush=True)
