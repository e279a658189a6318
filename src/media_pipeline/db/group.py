"""Work that arrives together shares one statement; work that comes alone waits for nobody.

There is no timer: what comes while a round is on its way makes up the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from media_pipeline.db.database import DatabaseUnavailable

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")
MOST: Final = 250


class Group(Generic[Ask, Answer]):
    """Collect asks and run them in rounds of at most `most`.

    `run` answers each ask of its round, in order, with a value or the exception that is its alone.
    When `run` itself raises, the round is halved until the ask at fault stands alone, so that it
    hurts no neighbour; an outage is everybody's.
    """

    def __init__(
        self, run: Callable[[Sequence[Ask]], Awaitable[Sequence[Answer | Exception]]], *, most: int = MOST
    ) -> None:
        self._run = run
        self._most = most
        self._waiting: deque[tuple[Ask, asyncio.Future[Answer]]] = deque()
        self._rounds: asyncio.Task[None] | None = None

    def join(self, ask: Ask) -> asyncio.Future[Answer]:
        """Take part in the next round."""
        if self._rounds is None:
            self._rounds = asyncio.create_task(self._run_rounds())
        future: asyncio.Future[Answer] = self._rounds.get_loop().create_future()
        self._waiting.append((ask, future))
        return future

    async def aclose(self) -> None:
        """Finish the rounds that were begun."""
        if self._rounds is not None:
            await self._rounds

    async def _run_rounds(self) -> None:
        while self._waiting:
            size = min(self._most, len(self._waiting))
            await self._answer([self._waiting.popleft() for _ in range(size)])
        self._rounds = None

    async def _answer(self, members: Sequence[tuple[Ask, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._run([ask for ask, _ in members])
        except DatabaseUnavailable as error:
            answers = [type(error)(str(error)) for _ in members]
        except Exception as error:  # noqa: BLE001 - handed to whoever asked for it
            if len(members) > 1:
                half = len(members) // 2
                await self._answer(members[:half])
                await self._answer(members[half:])
                return
            answers = [error]
        for (_, future), answer in zip(members, answers, strict=True):
            _settle(future, answer)


def _settle(future: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
