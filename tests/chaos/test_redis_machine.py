"""Any interleaving of publishing, coming and going with cuts, evictions and restarts (Hypothesis)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import rule, run_state_machine_as_test

from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import Bus, Opening
from tests.conformance.bus.engines import HISTORY
from tests.conformance.bus.recorder import listen
from tests.conformance.bus.test_machine import USERS, BusMachine, Reader
from tests.servers.redis import RedisServer, redis_server

from .buses import Process, process


class RedisMachine(BusMachine):
    """The machine that every bus passes, and what only Redis can suffer."""

    server: ClassVar[RedisServer]
    process: ClassVar[Process]

    @rule()
    def cut_links(self) -> None:
        self._look_all()
        self.server.cut()
        self._heal()

    @rule()
    def restart(self) -> None:
        self._look_all()
        self.server.kill()
        self.server.start()
        for user in self.models:
            self._forget(user)
        self._heal()

    @rule(user=USERS)
    def evict(self, user: UserId) -> None:
        self._look_all()
        for key in ("history", "keys"):
            self.server.ask("DEL", f"media-pipeline:{{{user}}}:{key}")
        self._forget(user)

    @rule()
    def forget_scripts(self) -> None:
        self._look_all()
        self.server.ask("SCRIPT", "FLUSH")
        # The question that finds them gone costs the link, and is asked again over the next.
        self.runner.run(self._ask())
        self._find_resets()

    def _forget(self, user: UserId) -> None:
        model = self.models[user]
        model.forgotten = len(model.keys)
        model.stale.update(model.places)

    def _look_all(self) -> None:
        for reader in self.readers:
            self._check(reader)

    def _heal(self) -> None:
        self.runner.run(self.process.until_relinked())
        self.runner.run(self._ask())
        self._find_resets()

    def _find_resets(self) -> None:
        for reader in self.readers:
            if reader.seen.openings[1:] and reader.seen.openings[-1] is Opening.RESET:
                self._begin_anew(reader)

    async def _ask(self) -> None:
        # Asked after everybody else over the same link, so answered after them.
        (await listen(self.bus))[1].close()

    def _begin_anew(self, reader: Reader) -> None:
        known = set(reader.seen.positions[-2:-1])
        assert known <= self.models[reader.user].stale, "a kept position was reset"
        reader.seen.openings[:] = [Opening.RESET]
        reader.seen.keys.clear()
        del reader.seen.positions[:-1]
        reader.begin = self._learn(reader.user, reader.seen)


@asynccontextmanager
async def engine(machine: type[RedisMachine]) -> AsyncIterator[Bus]:
    machine.server.ask("FLUSHALL")
    async with process(machine.server, history=HISTORY) as running:
        machine.process = running
        yield running.bus


def run_machine(*, examples: int) -> None:
    with redis_server() as server:
        machine = type("Machine", (RedisMachine,), {"server": server})
        setattr(machine, "engine", staticmethod(lambda: engine(machine)))  # noqa: B010 - of a type made just now
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )


def test_any_interleaving_with_losses_keeps_the_promises() -> None:
    """Whatever Redis loses in whatever order, readers see what the model says or are told of a gap."""
    run_machine(examples=15)


@pytest.mark.long
def test_many_interleavings_with_losses_keep_the_promises() -> None:
    """The same with many more interleavings."""
    run_machine(examples=150)
