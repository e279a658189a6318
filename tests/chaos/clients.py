"""What users ask of a fleet while what it depends on fails, and every answer that no client should get."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from tests.acceptance.fleet import Fleet
from tests.integration.program import Api, Wire, picture

PASSING: Final = {408, 429, 500, 502, 503, 504}
"""What a store may answer to a PUT that is worth another try."""


@dataclass
class Clients:
    """Users who insist: what was refused for now they ask again, with the same key."""

    fleet: Fleet
    side: int = 64
    """Of the pictures that they bring."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    asked: dict[str, int] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    puts: Counter[str] = field(default_factory=Counter)
    """How the store answered them."""
    slowest: float = 0.0

    async def use(self, user: str, *, service: int = 0, pause: float = 0.0) -> None:
        """Ask for pictures, bring files and look around until it is over."""
        async with self.fleet.user(user, service=service) as api:
            number = 0
            while not self.over.is_set():
                number += 1
                await self._generate(api, key=f"g{number}")
                await self._upload(api, key=f"u{number}")
                for path in ("/jobs", "/media", f"/jobs/{next(iter(self.asked))}"):
                    await self._ask(api, "GET", path)
                await asyncio.sleep(pause)

    async def _generate(self, api: Api, *, key: str) -> None:
        body = {"prompt": "a lighthouse", "width": 64, "height": 64}
        answer = await self._insist(api, "/generate/image", body, key=key)
        self.asked[answer.json()["jobId"]] = 1

    async def _upload(self, api: Api, *, key: str) -> None:
        body = {"filename": "a.png", "contentType": "image/png"}
        permission = (await self._insist(api, "/media/upload/init", body, key=key)).json()
        self.asked[permission["jobId"]] = 1
        data = picture(side=self.side)
        while not await self._put(api, permission, data):  # noqa: ASYNC110 - the answer is the signal
            await asyncio.sleep(0.05)
        await self._insist(api, "/media/upload/complete", {"objectPath": permission["objectPath"]}, key=key)

    async def _put(self, api: Api, permission: Wire, data: bytes) -> bool:
        """Tell whether the bytes are there; a lost answer is asked again, and 412 says that they are."""
        try:
            answer = await api.put(permission, data)
        except httpx2.TransportError as error:
            self.puts[type(error).__name__] += 1
            return False
        self.puts[str(answer.status_code)] += 1
        if permission["uploadURL"].startswith(self.fleet.services[0].name):
            self._note(answer)
        assert answer.status_code in {200, 412, *PASSING}, answer.text
        return answer.status_code in {200, 412}

    async def _insist(self, api: Api, path: str, body: object, *, key: str) -> httpx2.Response:
        """Ask the same again until it is taken, as `Retry-After` says, only sooner."""
        while True:
            answer = await self._ask(api, "POST", path, body, headers={"Idempotency-Key": key})
            if answer.status_code != 503:
                assert answer.is_success, answer.text
                return answer
            await asyncio.sleep(0.05)

    async def _ask(
        self, api: Api, method: str, path: str, body: object = None, **more: Any
    ) -> httpx2.Response:
        began = time.monotonic()
        answer = self._note(await api.ask(method, path, body, **more))
        self.slowest = max(self.slowest, time.monotonic() - began)
        return answer

    def _note(self, answer: httpx2.Response) -> httpx2.Response:
        self.answers[answer.status_code] += 1
        refused = answer.status_code == 503 and "Retry-After" in answer.headers
        if answer.status_code >= 500 and not refused:
            self.wrong.append(f"{answer.status_code} {answer.request.url.path} {answer.text[:300]}")
        return answer
