"""Any sequence of operations does to the store what it does to a dictionary."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import ClassVar, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from media_pipeline.storage.store import ABSENT, ObjectNotFound, PreconditionFailed, Store, Version

from .engines import Engine, joined, stream_of

T = TypeVar("T")
PATHS = st.sampled_from(["m/1", "m/1/a", "m/10/a", "m/1/b c", "m/1/é", "m/2/" + "z" * 900])
BODIES = st.binary(max_size=40)
TYPES = st.sampled_from(["image/png", "video/mp4", ""])
PREFIXES = st.sampled_from(["", "m/1", "m/1/", "m/10/", "m/2/", "x"])


class StoreAgainstDict(RuleBasedStateMachine):
    """`model` is what must be there; `seen` is every version there ever was."""

    _engine: ClassVar[Engine]
    _kind_unsaid: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.model: dict[str, tuple[bytes, str, Version]] = {}
        self.seen: list[Version] = [ABSENT]

    @initialize()
    def open(self) -> None:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self.store: Store = self._run(self._stack.enter_async_context(self._engine.opened(Path(folder))))

    @rule(path=PATHS, body=BODIES, kind=TYPES, data=st.data(), chunked=st.booleans())
    def write(self, path: str, body: bytes, kind: str, data: st.DataObject, *, chunked: bool) -> None:
        wanted = self._some_version(data, path)
        source = stream_of([body[:7], body[7:]]) if chunked else body
        if self._allows(path, wanted):
            version = self._run(self.store.write(path, source, kind, if_version=wanted))
            assert version not in self.seen
            self.seen.append(version)
            self.model[path] = (body, kind or self._kind_unsaid, version)
        else:
            self._refused(self.store.write(path, source, kind, if_version=wanted))

    @rule(path=PATHS, data=st.data())
    def delete(self, path: str, data: st.DataObject) -> None:
        wanted = self._some_version(data, path)
        if path not in self.model or self._allows(path, wanted):
            self._run(self.store.delete(path, if_version=wanted))
            self.model.pop(path, None)
        else:
            self._refused(self.store.delete(path, if_version=wanted))

    @rule(path=PATHS, start=st.integers(0, 45), end=st.none() | st.integers(0, 45))
    def read(self, path: str, start: int, end: int | None) -> None:
        if path in self.model:
            body, _, version = self.model[path]
            expected = body[start:] if end is None else body[start:end]
            assert self._run(self.store.read(path, start=start, end=end)) == expected
            assert (
                self._run(joined(self.store.stream(path, start=start, end=end, version=version))) == expected
            )
        else:
            self._missing(self.store.read(path, start=start, end=end))

    @rule(prefix=PREFIXES)
    def list(self, prefix: str) -> None:
        expected = sorted(path for path in self.model if path.startswith(prefix))
        assert [item.path for item in self._run(self.store.list(prefix))] == expected

    @invariant()
    def nothing_else_is_there(self) -> None:
        if hasattr(self, "store"):
            there = self._run(self.store.list(""))
            found = {item.path: (item.size, item.content_type, item.version) for item in there}
            assert found == {
                path: (len(body), kind, version) for path, (body, kind, version) in self.model.items()
            }

    def teardown(self) -> None:
        self._run(self._stack.aclose())
        self._runner.close()

    def _some_version(self, data: st.DataObject, path: str) -> Version | None:
        usual = [None, ABSENT, *([self.model[path][2]] if path in self.model else [])]
        return data.draw(st.sampled_from(usual) | st.sampled_from(self.seen))

    def _allows(self, path: str, wanted: Version | None) -> bool:
        return wanted in (None, self.model[path][2] if path in self.model else ABSENT)

    def _refused(self, call: Coroutine[object, object, object]) -> None:
        try:
            self._run(call)
        except PreconditionFailed:
            return
        raise AssertionError("A write over another version was not refused.")

    def _missing(self, call: Coroutine[object, object, object]) -> None:
        try:
            self._run(call)
        except ObjectNotFound:
            return
        raise AssertionError("Reading nothing was not an error.")

    def _run(self, call: Coroutine[object, object, T]) -> T:
        return self._runner.run(call)


def test_the_store_is_a_dictionary(engine: Engine) -> None:
    """After any sequence of operations the store holds what a dictionary would hold."""

    class Against(StoreAgainstDict):
        _engine = engine
        _kind_unsaid = engine.kind_unsaid

    run_state_machine_as_test(
        Against,
        settings=settings(
            max_examples=engine.examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
