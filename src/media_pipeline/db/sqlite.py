"""SQLite, embedded: one writer thread that commits whatever waits as one group.

Guarantees: a write is on disk (WAL, synchronous=FULL) before its call returns, unless its caller
said that it may be lost with the machine's power; writes of one group succeed or fail each for
itself, and nobody sees one before all are committed. Not offered: a second process on the same file;
opening takes an exclusive lock so that this is an error, not a corruption.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import ClassVar, Final, Generic, TypeVar, cast

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.db.database import DatabaseUnavailable, Dialect, Effect, Params, Row, Value
from media_pipeline.db.statements import Statement
from media_pipeline.filelock import FileLock

T = TypeVar("T")
Connection = sqlite3.Connection
"""What a transaction is given; its rows are `Row`s."""
Work = Callable[[Connection], T]
GROUP_MAX: Final = 500
MEMORY: Final = ":memory:"


@dataclass(slots=True)
class _Order(Generic[T]):
    work: Work[T]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    writes: bool
    durable: bool
    value: T | None = None
    error: BaseException | None = None


class SqliteDatabase:
    """One SQLite database in this process, in memory or in a file.

    `now_us` is the database's clock: microseconds since the Unix epoch that never repeat.
    """

    dialect: ClassVar[Dialect] = "sqlite"

    def __init__(self, path: Path | None = None, *, clock: Clock | None = None) -> None:
        self._path = MEMORY if path is None else str(path)
        self._clock = clock or SystemClock()
        self._last_us = 0
        self._ticking = threading.Lock()
        self._lock = None if path is None else FileLock(path.with_name(path.name + ".lock"))
        self._writer = _Thread(self._connect, name="sqlite-writer")
        self._reader = self._writer if path is None else _Thread(self._connect, name="sqlite-reader")

    async def open(self) -> None:
        """Take the file and start the threads; `DatabaseUnavailable` if another process holds it."""
        self._take_file()
        try:
            await self._writer.start()
            await self._reader.start()
        except DatabaseUnavailable:
            await self.aclose()
            raise

    async def transact(self, work: Work[T], *, durable: bool = True) -> T:
        """Run `work` in a transaction of its own inside the group's commit; return its value.

        A write that is not `durable` does not wait for the disk: it survives the process, and is on
        disk with the next write that is; a power failure before that undoes it.
        """
        return await self._writer.submit(work, writes=True, durable=durable)

    async def read(self, work: Work[T]) -> T:
        """Run `work` that only reads."""
        return await self._reader.submit(work, writes=False, durable=False)

    async def fetch(self, statement: Statement, params: Params) -> list[Row]:
        return await self.read(lambda conn: _rows(conn, statement, params))

    async def execute(self, statement: Statement, params: Params, *, durable: bool = True) -> list[Row]:
        return await self.transact(lambda conn: _rows(conn, statement, params), durable=durable)

    async def apply(self, effects: Sequence[Effect]) -> None:
        await self.transact(lambda conn: apply_effects(conn, effects))

    async def alter(self, effects: Sequence[Effect]) -> None:
        await self.apply(effects)

    def now_us(self) -> int:
        """Return the database's time, later than any it returned before."""
        with self._ticking:
            self._last_us = max(self._last_us + 1, int(self._clock.now() * 1_000_000))
            return self._last_us

    async def aclose(self) -> None:
        await self._writer.stop()
        await self._reader.stop()
        if self._lock:
            self._lock.release()

    def _take_file(self) -> None:
        try:
            if self._lock:
                self._lock.acquire()
        except BlockingIOError as error:
            raise DatabaseUnavailable(
                f"Another process uses {self._path}; a SQLite file belongs to one process."
            ) from error
        except OSError as error:
            raise DatabaseUnavailable(f"SQLite cannot open {self._path}: {error.strerror}.") from error

    def _connect(self) -> Connection:
        conn = sqlite3.connect(self._path, isolation_level=None, cached_statements=512)
        conn.row_factory = _as_row
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
            conn.execute(f"PRAGMA {pragma}")
        return conn


def apply_effects(conn: Connection, effects: Sequence[Effect]) -> None:
    """Run `effects` inside a transaction that is already open."""
    for effect in effects:
        conn.execute(effect.statement.sqlite or effect.statement.text, effect.params)


def _rows(conn: Connection, statement: Statement, params: Params) -> list[Row]:
    return conn.execute(statement.sqlite or statement.text, params).fetchall()


def _as_row(cursor: sqlite3.Cursor, values: tuple[Value, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


class _Thread:
    """A thread that owns one connection and runs orders, everything that waits in one transaction."""

    def __init__(self, connect: Callable[[], Connection], *, name: str) -> None:
        self._connect = connect
        self._name = name
        self._orders: SimpleQueue[_Order[object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        if self._thread is not None:
            return
        loop = asyncio.get_running_loop()
        started: asyncio.Future[None] = loop.create_future()
        thread = threading.Thread(target=self._run, args=(loop, started), name=self._name, daemon=True)
        thread.start()
        await started
        self._thread = thread

    async def stop(self) -> None:
        thread, self._thread = self._thread, None  # from here on nothing is taken that would never be run
        if thread is not None:
            self._orders.put(None)
            await asyncio.to_thread(thread.join)

    async def submit(self, work: Work[T], *, writes: bool, durable: bool) -> T:
        if self._thread is None:
            raise DatabaseUnavailable("The database is closed.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        order = _Order(work, loop, future, writes, durable)
        self._orders.put(cast("_Order[object]", order))
        return await future

    def _run(self, loop: asyncio.AbstractEventLoop, started: asyncio.Future[None]) -> None:
        try:
            conn = self._connect()
        except sqlite3.Error as error:
            loop.call_soon_threadsafe(
                started.set_exception, DatabaseUnavailable(f"SQLite cannot open its file: {error}.")
            )
            return
        loop.call_soon_threadsafe(started.set_result, None)
        with contextlib.closing(conn):
            while (group := self._next_group()) is not None:
                _run_group(conn, group)
                _resolve(group)

    def _next_group(self) -> list[_Order[object]] | None:
        order = self._orders.get()
        if order is None:
            return None
        group = [order]
        with contextlib.suppress(Empty):
            while len(group) < GROUP_MAX:
                order = self._orders.get_nowait()
                if order is None:
                    self._orders.put(None)
                    break
                group.append(order)
        return group


def _run_group(conn: Connection, group: Sequence[_Order[object]]) -> None:
    transaction = any(order.writes for order in group)
    try:
        if transaction:
            durable = any(order.durable for order in group)
            conn.execute("PRAGMA synchronous=FULL" if durable else "PRAGMA synchronous=NORMAL")
            conn.execute("BEGIN IMMEDIATE")
        for order in group:
            _run_order(conn, order)
        if transaction:
            conn.execute("COMMIT")
    except sqlite3.Error as error:
        with contextlib.suppress(sqlite3.Error):
            conn.rollback()
        for order in group:
            order.error = DatabaseUnavailable(f"SQLite could not commit: {error}.")


def _run_order(conn: Connection, order: _Order[object]) -> None:
    """Run one order; what it raises undoes only itself."""
    if order.writes:
        conn.execute("SAVEPOINT one")
    try:
        order.value = order.work(conn)
    except Exception as error:  # noqa: BLE001 - handed to whoever gave the order
        order.error = error
        if order.writes and conn.in_transaction:
            conn.execute("ROLLBACK TO one")
    if order.writes:
        conn.execute("RELEASE one")


def _resolve(group: Sequence[_Order[object]]) -> None:
    """Hand every order of the group back to its loop, one wake-up a loop."""
    for loop in {order.loop for order in group}:
        mine = [order for order in group if order.loop is loop]
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever waited
            loop.call_soon_threadsafe(_settle, mine)


def _settle(orders: Sequence[_Order[object]]) -> None:
    for order in orders:
        if order.future.done():
            continue
        if order.error is not None:
            order.future.set_exception(_translated(order.error))
        else:
            order.future.set_result(order.value)


def _translated(error: BaseException) -> BaseException:
    """Tell an outage (busy, full, unreadable: worth another try) from a statement that is wrong."""
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
        return DatabaseUnavailable(f"SQLite could not do it now: {error}.")
    return error
