"""What the rooms above ask of a database, and how it says no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Protocol

import msgspec

from media_pipeline.db.statements import Statement
from media_pipeline.errors import MediaPipelineError

Value = str | int | float | bytes | None
Params = Mapping[str, Value]
Row = Mapping[str, Value]
Dialect = Literal["sqlite", "postgres"]
"""Which `.sql` files it understands; CockroachDB reads PostgreSQL's."""


class DatabaseUnavailable(MediaPipelineError):
    """The database could not take the work now; nothing of it happened."""

    code: ClassVar[str] = "database_unavailable"
    retryable: ClassVar[bool] = True


class DatabaseRefused(DatabaseUnavailable):
    """The server is there and does not let us in: a wrong name, password or database."""


class Effect(msgspec.Struct, frozen=True):
    """A write that lands together with another one or not at all."""

    statement: Statement
    params: Params


class Database(Protocol):
    """Run named statements; every write is durable when its call returns."""

    dialect: ClassVar[Dialect]

    async def open(self) -> None:
        """Connect, or raise `DatabaseUnavailable`."""
        ...

    async def fetch(self, statement: Statement, params: Params) -> list[Row]:
        """Read rows; sees every write that has returned."""
        ...

    async def execute(self, statement: Statement, params: Params, *, durable: bool = True) -> list[Row]:
        """Write in a transaction of its own; return what the statement returns.

        What is not `durable` may be lost with the machine, and does not wait for its disk.
        """
        ...

    async def apply(self, effects: Sequence[Effect]) -> None:
        """Write all of `effects` in one transaction."""
        ...

    async def alter(self, effects: Sequence[Effect]) -> None:
        """Change tables: all of `effects` at once or, on a server, one by one, each bearing repetition."""
        ...

    async def aclose(self) -> None:
        """Finish what was begun and close."""
        ...
