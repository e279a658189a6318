"""What every bus promises."""

import pytest

from media_pipeline.ids import UserId
from media_pipeline.realtime.bus import Bus, BusError, Opening, Position

from .engines import HISTORY
from .recorder import ANN, BOB, Recorder, listen, progress, state
from .storm import check_storm


async def publish_all(bus: Bus, *keys: str) -> None:
    for key in keys:
        await bus.publish(state(key))


async def test_messages_arrive_in_the_order_of_publishing(bus: Bus) -> None:
    """State and progress reach a live subscriber in the order in which they were published."""
    seen, _ = await listen(bus)
    await publish_all(bus, "a", "b")
    await bus.publish(progress("p"))
    await publish_all(bus, "c")
    await seen.until("c")
    assert seen.openings == [Opening.READY]
    assert seen.keys == ["a", "b", "c"]
    assert seen.progress == ["p"]
    assert [frame.startswith(b"id: ") for frame in seen.frames] == [True, True, False, True]


async def test_every_subscriber_gets_the_very_same_frame(bus: Bus) -> None:
    """A frame is made once: subscribers share the object, its position written in it."""
    one, _ = await listen(bus)
    two, _ = await listen(bus)
    await publish_all(bus, "a")
    await one.until("a")
    await two.until("a")
    assert one.frames[0] is two.frames[0]
    assert one.frames[0] == b'id: %b\nevent: happened\ndata: "a"\n\n' % one.positions[-1].encode()


async def test_every_kept_position_resumes_with_exactly_what_followed(bus: Bus) -> None:
    """From the beginning and from each message, a resumption brings what came after it, in order."""
    seen, _ = await listen(bus)
    keys = [f"k{number}" for number in range(HISTORY - 1)]
    await publish_all(bus, *keys)
    await seen.until(keys[-1])
    for number, position in enumerate(seen.positions):
        again, _ = await listen(bus, since=position)
        assert again.openings == [Opening.RESUMED]
        assert again.keys == keys[number:]
        assert again.positions == seen.positions[number + 1 :]


async def test_a_resumed_subscription_goes_on_live(bus: Bus) -> None:
    """After what was missed comes what happens now."""
    seen, first = await listen(bus)
    first.close()
    await publish_all(bus, "a")
    again, _ = await listen(bus, since=seen.positions[0])
    await publish_all(bus, "b")
    await again.until("b")
    assert again.keys == ["a", "b"]


async def test_a_change_published_twice_arrives_once(bus: Bus) -> None:
    """A repeated key is dropped, live and in the history."""
    seen, _ = await listen(bus)
    await publish_all(bus, "a", "a", "b", "a", "fence")
    await seen.until("fence")
    again, _ = await listen(bus, since=seen.positions[0])
    assert seen.keys == again.keys == ["a", "b", "fence"]


async def test_two_users_never_see_each_others(bus: Bus) -> None:
    """A message reaches its own user, live and in the history, and no other."""
    ann, _ = await listen(bus, user=ANN)
    bob, _ = await listen(bus, user=BOB)
    await bus.publish(state("a", user=ANN))
    await bus.publish(progress("p", user=ANN))
    await bus.publish(state("b", user=BOB))
    await ann.until("a")
    await bob.until("b")
    assert (ann.keys, ann.progress, bob.keys, bob.progress) == (["a"], ["p"], ["b"], [])
    again, _ = await listen(bus, user=BOB, since=bob.positions[0])
    assert again.keys == ["b"]


async def test_the_same_key_of_two_users_is_two_changes(bus: Bus) -> None:
    """Keys are told apart by user."""
    ann, _ = await listen(bus, user=ANN)
    bob, _ = await listen(bus, user=BOB)
    await bus.publish(state("same", user=ANN))
    await bus.publish(state("same", user=BOB))
    await ann.until("same")
    await bob.until("same")


@pytest.mark.parametrize(
    "since",
    [
        *("", ":", "garbage", "a:b", "deadbeef:", ":1", "deadbeef:-1", "deadbeef:1-", "deadbeef:1-2-3"),
        *("deadbeef:" + "9" * 5000, "é:1", "deadbeef:\u0661", "a b:1", "deadbeef:1\n", "x" * 100_000),
        "\ud800:1",
    ],
    ids=lambda text: ascii(text[:12]),
)
async def test_garbage_is_a_reset(bus: Bus, since: str) -> None:
    """Text that is no position leads to a reset, never to an error or to silence, and then goes on live."""
    await publish_all(bus, "a")
    seen, _ = await listen(bus, since=since)
    assert seen.openings == [Opening.RESET]
    await publish_all(bus, "b")
    await seen.until("b")
    assert seen.keys == ["b"]


async def test_a_position_of_another_epoch_is_a_reset(bus: Bus) -> None:
    """An offset that exists is worth nothing under another epoch."""
    seen, _ = await listen(bus)
    await publish_all(bus, "a")
    await seen.until("a")
    position = Position.parse(seen.positions[-1])
    assert position is not None
    other = Position("0" * len(position.epoch), position.offset)
    again, _ = await listen(bus, since=str(other))
    assert again.openings == [Opening.RESET]


async def test_a_position_of_another_user_is_a_reset(bus: Bus) -> None:
    """What one user was given says nothing of another's history."""
    ann, _ = await listen(bus, user=ANN)
    for key in ("a", "b"):
        await bus.publish(state(key, user=ANN))
        await bus.publish(state(key, user=BOB))
    await ann.until("b")
    for position in ann.positions[1:]:
        bob, _ = await listen(bus, user=BOB, since=position)
        assert bob.openings == [Opening.RESET]


async def test_a_position_not_yet_reached_is_a_reset(bus: Bus) -> None:
    """A position of the future was never given out."""
    seen, _ = await listen(bus)
    await publish_all(bus, "a")
    await seen.until("a")
    again, _ = await listen(bus, since=seen.positions[-1] + "0")
    assert again.openings == [Opening.RESET]


async def test_a_trimmed_position_is_a_reset_and_the_reset_resumes(bus: Bus) -> None:
    """Where history is gone the reader is told, and the position it is told resumes."""
    seen, subscription = await listen(bus)
    subscription.close()
    # Engines may keep more than they promise; ten times as much is more than any does.
    await publish_all(bus, *(f"k{number}" for number in range(10 * HISTORY)))
    lost, _ = await listen(bus, since=seen.positions[0])
    assert lost.openings == [Opening.RESET]
    assert lost.keys == []
    await publish_all(bus, "new")
    await lost.until("new")
    again, _ = await listen(bus, since=lost.positions[0])
    assert again.keys == ["new"]


async def test_progress_is_never_replayed(bus: Bus) -> None:
    """Progress moves no position and is not in the history."""
    seen, _ = await listen(bus)
    await publish_all(bus, "a")
    await bus.publish(progress("p"))
    await publish_all(bus, "b")
    await seen.until("b")
    again, _ = await listen(bus, since=seen.positions[0])
    assert again.keys == ["a", "b"]
    assert again.progress == []


async def test_a_closed_subscription_is_never_called_again(bus: Bus) -> None:
    """After `close` no message comes, and closing again is harmless."""
    witness, _ = await listen(bus)
    seen, subscription = await listen(bus)
    subscription.close()
    subscription.close()
    await publish_all(bus, "a")
    await bus.publish(progress("p"))
    await publish_all(bus, "fence")
    await witness.until("fence")
    assert (seen.keys, seen.progress) == ([], [])


@pytest.mark.parametrize("seed", range(5))
async def test_a_storm_of_publishing_loses_nothing(bus: Bus, seed: int) -> None:
    """Readers who come, go and come back amid publishing see everything once, in order."""
    await check_storm(bus, seed=seed)


async def test_a_closed_bus_refuses_and_calls_nobody(bus: Bus) -> None:
    """After `aclose` publishing and subscribing are retryable errors."""
    seen, subscription = await listen(bus)
    await bus.aclose()
    with pytest.raises(BusError):
        await bus.publish(state("a"))
    with pytest.raises(BusError):
        await listen(bus)
    subscription.close()
    assert seen.keys == []


async def test_a_forgotten_history_is_a_reset_and_the_stream_goes_on(bus: Bus) -> None:
    """What was forgotten is replayed to nobody, whoever listens hears what comes, and others keep theirs."""
    live, bob = Recorder(), Recorder()
    await bus.subscribe(ANN, live)
    await bus.subscribe(BOB, bob)
    for message in (state("a"), state("b"), state("a", user=BOB), state("b", user=BOB)):
        await bus.publish(message)
    await live.until("b")
    await bob.until("b")
    await bus.forget(ANN)
    await bus.forget(UserId("nobody"))
    await bus.publish(state("c"))
    await live.until("c")
    back, bobs = Recorder(), Recorder()
    await bus.subscribe(ANN, back, since=live.positions[1])
    await bus.subscribe(BOB, bobs, since=bob.positions[1])
    assert back.openings == [Opening.RESET]
    assert (bobs.openings, bobs.keys) == ([Opening.RESUMED], ["b"])
