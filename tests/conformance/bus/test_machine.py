"""Any interleaving of publishing, coming, going and trimming keeps the promises (Hypothesis)."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    multiple,
    rule,
    run_state_machine_as_test,
)

from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import Bus, Opening, Subscription

from .engines import ENGINES, HISTORY, Engine
from .recorder import ANN, BOB, Recorder, listen, progress, state

USERS = st.sampled_from([ANN, BOB])


@dataclass(eq=False)
class Reader:
    """A reader and the place in the model's list from which it must have seen everything."""

    user: UserId
    seen: Recorder
    subscription: Subscription
    begin: int


@dataclass
class Model:
    """All that one user was ever sent, as plain as it gets; what the bus lost is `forgotten` and `stale`."""

    keys: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    forgotten: int = 0
    stale: set[str] = field(default_factory=set)


class BusMachine(RuleBasedStateMachine):
    """Drive a bus and the model side by side."""

    engine: Engine
    live = Bundle("live")
    places = Bundle("places")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.bus: Bus = self.runner.run(self.stack.enter_async_context(type(self).engine()))
        self.models = {ANN: Model(), BOB: Model()}
        self.readers: list[Reader] = []
        self.number = 0

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    @rule(user=USERS, count=st.integers(1, 5))
    def publish(self, user: UserId, count: int) -> None:
        keys = [f"k{self.number + more}" for more in range(1, count + 1)]
        self.number += count
        self.models[user].keys.extend(keys)
        self.runner.run(self._publish(user, keys))

    @rule(user=USERS, back=st.integers(1, HISTORY // 2))
    def publish_again(self, user: UserId, back: int) -> None:
        model = self.models[user]
        for key in model.keys[model.forgotten :][-back:][:1]:
            self.runner.run(self._publish(user, [key]))

    @rule(user=USERS)
    def publish_progress(self, user: UserId) -> None:
        self.runner.run(self.bus.publish(progress("p", user=user)))

    @rule(user=USERS, more=st.integers(0, HISTORY))
    def trim(self, user: UserId, more: int) -> None:
        self.publish(user, HISTORY + more)

    @rule(user=USERS, target=live)
    def subscribe(self, user: UserId) -> Reader:
        seen, subscription = self.runner.run(listen(self.bus, user=user))
        assert seen.openings == [Opening.READY]
        begin = self._learn(user, seen)
        return self._enter(Reader(user, seen, subscription, begin))

    @rule(reader=consumes(live), target=places)
    def cut(self, reader: Reader) -> Any:
        self._check(reader)
        reader.subscription.close()
        self.readers.remove(reader)
        return multiple(*((reader.user, position) for position in reader.seen.positions[-HISTORY:]))

    @rule(place=places, target=live)
    def resume(self, place: tuple[UserId, str]) -> Reader:
        user, position = place
        model, begin = self.models[user], self.models[user].places[position]
        seen, subscription = self.runner.run(listen(self.bus, user=user, since=position))
        if seen.openings == [Opening.RESUMED]:
            assert seen.keys == model.keys[begin:]
            assert position not in model.stale, "a position that was lost resumed"
        else:
            assert seen.openings == [Opening.RESET]
            assert not seen.keys
            kept = position not in model.stale and len(model.keys) - begin < HISTORY
            assert not kept, "a position still kept was reset"
            begin = self._learn(user, seen)
        return self._enter(Reader(user, seen, subscription, begin))

    @rule(place=places)
    def resume_as_another(self, place: tuple[UserId, str]) -> None:
        user, position = place
        if self.models[user].places[position] > 0:
            other = BOB if user == ANN else ANN
            seen, subscription = self.runner.run(listen(self.bus, user=other, since=position))
            assert seen.openings == [Opening.RESET]
            subscription.close()

    @rule(reader=live)
    def look(self, reader: Reader) -> None:
        self._check(reader)

    async def _publish(self, user: UserId, keys: list[str]) -> None:
        for key in keys:
            await self.bus.publish(state(key, user=user))

    def _enter(self, reader: Reader) -> Reader:
        self.readers.append(reader)
        return reader

    def _learn(self, user: UserId, seen: Recorder) -> int:
        model = self.models[user]
        return model.places.setdefault(seen.positions[0], len(model.keys))

    def _check(self, reader: Reader) -> None:
        model = self.models[reader.user]
        expected = model.keys[reader.begin :]
        if expected:
            self.runner.run(reader.seen.until(expected[-1]))
        assert reader.seen.keys == expected
        first = len(reader.seen.positions) - len(expected)
        for number, position in enumerate(reader.seen.positions[first:], reader.begin + 1):
            assert model.places.setdefault(position, number) == number, "one position, two places"


@pytest.mark.parametrize("engine", list(ENGINES))
def test_any_interleaving_keeps_the_promises(engine: str) -> None:
    """Whatever happens in whatever order, readers see what the model says or are told of a gap."""
    machine = type("Machine", (BusMachine,), {"engine": staticmethod(ENGINES[engine])})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
