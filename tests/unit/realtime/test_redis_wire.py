"""Messages as they look in Redis."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_pipeline.ids import JobId, UserId
from media_pipeline.realtime.bus import Message, Position
from media_pipeline.realtime.redis_wire import (
    EPOCH_DIGITS,
    Names,
    decode_entry,
    decode_payload,
    encode_header,
    roll_dice,
    split_position,
)
from media_pipeline.realtime.sse import encode_frame

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JOBS = st.none() | TEXT.map(JobId)
PLACE = Position("1" * EPOCH_DIGITS, "7")


@given(job=JOBS, key=TEXT, terminal=st.booleans())
def test_a_change_of_state_comes_back_with_its_place(job: JobId | None, key: str, *, terminal: bool) -> None:
    """What is written and read, from the channel or the history, is the message with its position."""
    message = Message(UserId("ann"), job, encode_frame("e", b"{}"), key, terminal=terminal)
    line = encode_header(message)
    placed = message.at(PLACE)
    assert decode_payload(UserId("ann"), line + b"\n" + placed.frame) == placed
    assert decode_entry(UserId("ann"), PLACE, [b"h", line, b"f", message.frame]) == placed


@given(job=JOBS, slot=TEXT)
def test_progress_comes_back_as_it_was(job: JobId | None, slot: str) -> None:
    """Progress is written and read without a position."""
    message = Message(UserId("ann"), job, encode_frame("e", b"1"), None, slot=slot)
    assert decode_payload(UserId("ann"), encode_header(message) + b"\n" + message.frame) == message


@pytest.mark.parametrize("payload", [b"", b"x", b"{}\n", b'[null,"k",null,false]\nevent: e\n\n', b"\xff\n"])
def test_a_foreign_payload_is_refused(payload: bytes) -> None:
    """What another program wrote is a `ValueError`, whatever it is."""
    with pytest.raises(ValueError, match=r"."):
        decode_payload(UserId("ann"), payload)


def test_all_of_one_user_share_a_hash_tag() -> None:
    """A cluster keeps a user's history, keys and channel on one node."""
    names = Names.of("p", UserId("ann"))
    for name in (names.history, names.keys, names.channel):
        assert name[name.index(b"{") :].startswith(b"{ann}")


def test_two_users_have_nothing_in_common() -> None:
    """Names are told apart also where a user's own contains what names are made of."""
    users = ["ann", "ann}", "{ann}", "ann}:events", ""]
    every = [name for user in users for name in _all(Names.of("p", UserId(user)))]
    assert len(set(every)) == len(every)


def test_an_epoch_has_its_length() -> None:
    """The dice always show ten digits, which with the server's eight make an epoch."""
    assert {len(roll_dice()) for _ in range(1000)} == {EPOCH_DIGITS - 8}


@pytest.mark.parametrize("since", ["", "abc:1", f"{'1' * EPOCH_DIGITS}:1-2", f"{'1' * 17}:1"])
def test_a_position_of_another_bus_is_none_of_ours(since: str) -> None:
    """Only an epoch and a number of our form are looked for."""
    assert split_position(since) is None


def _all(names: Names) -> tuple[bytes, bytes, bytes]:
    return names.history, names.keys, names.channel
