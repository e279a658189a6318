"""Connections that misbehave as a distributed database may, each in its own seeded way."""

from __future__ import annotations

import random
from typing import Any, Final

import psycopg
from psycopg import AsyncRawCursor
from psycopg.abc import Params, QueryNoTemplate
from psycopg.errors import SerializationFailure, StatementCompletionUnknown
from psycopg.rows import DictRow

from media_pipeline.db.session import Connection, connect

SHARE: Final = 0.3
WRITES: Final = {"INSERT", "UPDATE", "WITH", "COMMIT"}


def text_of(query: QueryNoTemplate) -> str:
    assert isinstance(query, str)
    return query.split(maxsplit=1)[0].upper()


class FlakyCursor(AsyncRawCursor[DictRow]):
    """Undo three of ten statements and commits with 40001."""

    dice = random.Random(20)

    async def execute(  # type: ignore[override] # templates are not used here
        self, query: QueryNoTemplate, params: Params | None = None, **options: Any
    ) -> FlakyCursor:
        if text_of(query) not in {"ROLLBACK", "SET"} and self.dice.random() < SHARE:
            if text_of(query) == "COMMIT":
                await super().execute("ROLLBACK", prepare=False)
            raise SerializationFailure("restart transaction: injected")
        await super().execute(query, params, **options)
        return self


class ForgetfulCursor(AsyncRawCursor[DictRow]):
    """Do what is asked, and say three times of ten, never twice in a row, that nobody knows (40003)."""

    dice = random.Random(20)
    forgot = False

    async def execute(  # type: ignore[override] # templates are not used here
        self, query: QueryNoTemplate, params: Params | None = None, **options: Any
    ) -> ForgetfulCursor:
        await super().execute(query, params, **options)
        cls = type(self)
        cls.forgot = not cls.forgot and self._may_forget(query) and self.dice.random() < SHARE
        if cls.forgot:
            raise StatementCompletionUnknown("result is ambiguous: injected")
        return self

    def _may_forget(self, query: QueryNoTemplate) -> bool:
        idle = self.connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        return idle and text_of(query) in WRITES


async def connect_flaky(url: str) -> Connection:
    conn = await connect(url)
    conn.cursor_factory = FlakyCursor
    return conn


async def connect_forgetful(url: str) -> Connection:
    conn = await connect(url)
    conn.cursor_factory = ForgetfulCursor
    return conn
