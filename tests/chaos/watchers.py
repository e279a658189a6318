"""Who watches a fleet's jobs end, over its event streams, as a client should."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from media_pipeline.ids import UserId
from media_pipeline.realtime.sse import ServerSentEvent
from tests.acceptance.fleet import PATIENCE, Fleet
from tests.integration.program import TERMINAL, Api, Wire, read_object

from .readers import Reader

STEPS = {"job_queued": 0, "generation_started": 1, "generation_complete": 2}
ENDED = {"succeeded", "failed", "cancelled"}


class Watcher:
    """A client as the contract wants it: it believes events, and after `reset` it reads the jobs."""

    def __init__(self, api: Api, port: int) -> None:
        self.known: set[str] = set()
        self.twice: list[str] = []
        self.disorder: list[str] = []
        self.resets = 0
        self._api = api
        self._port = port
        self._steps: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._reset = asyncio.Event()
        self._reader = Reader(UserId(api.user), hear=self._hear)

    async def watch(self) -> None:
        """Watch until cancelled; what goes wrong on the way is raised."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_jobs())
            group.create_task(self._follow())

    async def until_watching(self) -> None:
        await self._reader.opened.wait()

    async def until_known(self, jobs: set[str]) -> None:
        while not jobs <= self.known:
            self._changed.clear()
            await self._changed.wait()

    async def _follow(self) -> None:
        """Read the stream, and come back whenever it ends."""
        try:
            while True:
                with suppress(OSError):
                    await self._reader.open(self._port)
                    await self._reader.lost.wait()
                await asyncio.sleep(self._reader.retry_ms / 1000)  # as the server said
        finally:
            self._reader.cut()

    def _hear(self, event: ServerSentEvent) -> None:
        if event.event == "reset":
            self.resets += 1
            self._steps.clear()
            self._reset.set()
        elif event.event in STEPS or event.event in TERMINAL:
            self._take(event.event, json.loads(event.data)["jobId"])

    def _take(self, name: str, job: str) -> None:
        step = STEPS.get(name, 2)
        before = self._steps.get(job, -1)
        (self.twice if step == before else self.disorder if step < before else []).append(f"{job} {name}")
        self._steps[job] = step
        if name in TERMINAL:
            self.known.add(job)
            self._changed.set()

    async def _read_jobs(self) -> None:
        while True:
            await self._reset.wait()
            self._reset.clear()
            cursor: str | None = ""
            while cursor is not None:
                page = await self._page(cursor)
                self.known |= {job["jobId"] for job in page["jobs"] if job["state"] in ENDED}
                cursor = page["nextCursor"]
            self._changed.set()

    async def _page(self, cursor: str) -> Wire:
        """Ask for jobs until they are told."""
        path = f"/jobs?limit=100{cursor and '&cursor=' + cursor}"
        while (answer := await self._api.ask("GET", path)).status_code == 503:  # noqa: ASYNC110 - as it says
            await asyncio.sleep(0.1)
        assert answer.status_code == 200, answer.text
        return read_object(answer)


@asynccontextmanager
async def watched(
    fleet: Fleet, apis: Sequence[Sequence[Api]], watchers: int
) -> AsyncIterator[list[tuple[Watcher, str]]]:
    """Let watchers watch, spread over the services; one that fails fails the test."""
    ports = [int(service.name.rpartition(":")[2]) for service in fleet.services]
    places = [(number % len(apis), number % len(apis[0])) for number in range(watchers)]
    watching = [(Watcher(apis[at][user], ports[at]), apis[at][user].user) for at, user in places]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watcher.watch()) for watcher, _ in watching]
        async with asyncio.timeout(PATIENCE):
            for watcher, _ in watching:
                await watcher.until_watching()
        yield watching
        for task in tasks:
            task.cancel()
