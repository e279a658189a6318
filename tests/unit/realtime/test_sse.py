"""The wire format: what is encoded comes back, however it is cut."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_pipeline.ids import JobId
from media_pipeline.realtime.events import GenerationFailed, encode_data, encode_event
from media_pipeline.realtime.sse import (
    Decoder,
    ServerSentEvent,
    comment,
    encode_frame,
    id_only,
    retry,
    with_id,
)

from .doubles import ANN

ANY_TEXT = st.text(st.characters() | st.sampled_from("\r\n\0\u2028\u2029\ufeff: \ud800\udfff"))
NAMES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1)


def decode(data: bytes) -> list[ServerSentEvent]:
    return Decoder().feed(data)


@given(name=NAMES, text=ANY_TEXT, position=NAMES | st.none())
def test_decoding_undoes_encoding(name: str, text: str, position: str | None) -> None:
    """Any name, any text as JSON and any position come out of the decoder as they went in."""
    frame = encode_frame(name, json.dumps(text).encode())
    (event,) = decode(frame if position is None else with_id(frame, position))
    assert (event.event, json.loads(event.data), event.id) == (name, text, position)


@given(text=ANY_TEXT)
def test_any_text_of_an_event_survives(text: str) -> None:
    """An event's text reaches the reader unchanged: CR, LF, NUL, U+2028 and lone surrogates too."""
    event = GenerationFailed(job_id=JobId("j"), error=text, code="c", retryable=False)
    (got,) = decode(encode_event(ANN, event).frame)
    assert json.loads(got.data) == {"jobId": "j", "error": text, "code": "c", "retryable": False}


def test_a_lone_surrogate_is_escaped() -> None:
    """JSON that UTF-8 cannot carry is written in ASCII."""
    event = GenerationFailed(job_id=JobId("j"), error="\ud800", code="c", retryable=False)
    assert b'"error":"\\ud800"' in encode_data(event)


@given(
    stream=st.lists(
        st.sampled_from(
            [
                *(
                    b"\r",
                    b"\n",
                    b"\r\n",
                    b"\n\n",
                    b"data: a",
                    b"data",
                    b"data:",
                    b"event: e",
                    b"id: 1",
                    b"id",
                ),
                *(b"id: \0", b": c", b"retry: 5", b"retry: x", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\xff"),
                *(b":", b" ", b"x", b"data: {}\n\n"),
            ]
        ),
        max_size=30,
    ).map(b"".join),
    cuts=st.lists(st.integers(0, 200)),
)
def test_cuts_change_nothing(stream: bytes, cuts: list[int]) -> None:
    """However the bytes of a stream are cut, the events and the last position are the same."""
    whole, pieces, bytewise = Decoder(), Decoder(), Decoder()
    expected = whole.feed(stream)
    ends = sorted(min(cut, len(stream)) for cut in cuts)
    bounds = zip([0, *ends], [*ends, len(stream)], strict=True)
    assert [event for begin, end in bounds for event in pieces.feed(stream[begin:end])] == expected
    assert [event for byte in stream for event in bytewise.feed(bytes([byte]))] == expected
    assert pieces.last_event_id == bytewise.last_event_id == whole.last_event_id
    assert pieces.retry_ms == bytewise.retry_ms == whole.retry_ms


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        # The examples of the standard, 9.2.6.
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10")]),
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n", ["first event", "second event"]),  # noqa: E501
        (b"data\n\ndata\ndata\n\ndata:", ["", "\n"]),
        (b"data:test\n\ndata: test\n\n", ["test", "test"]),
        # And what it says elsewhere.
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", ["a"]),
        (b"data: a\rdata: b\r\ndata: c\n\r\n", ["a\nb\nc"]),
        (b"event: e\n\ndata: a\n\n", [("message", "a")]),
        (b"event: e\ndata:  a\n\n", [("e", " a")]),
        (b"unknown: 1\nDATA: 1\ndata: a\n\n", ["a"]),
        (b"data: \xff\n\n", ["\ufffd"]),
        (b"data: never finished\n", []),
    ],
)  # fmt: skip
def test_the_decoder_follows_the_standard(stream: bytes, expected: list[str | tuple[str, str]]) -> None:
    """Each line of the standard's interpretation has its example."""
    got = [(event.event, event.data) for event in decode(stream)]
    assert got == [one if isinstance(one, tuple) else ("message", one) for one in expected]


def test_positions_persist_until_they_change() -> None:
    """The last event ID stays through blocks without one, moves without an event, and ignores NUL."""
    decoder = Decoder()
    steps = [
        (with_id(encode_frame("e", b"1"), "a:1"), "a:1"),
        (encode_frame("e", b"2"), "a:1"),
        (id_only("a:2"), "a:2"),
        (b"id: a\0:3\ndata: x\n\n", "a:2"),
        (b"id\ndata: x\n\n", ""),
        (b"id: a:9\n", ""),
    ]
    for stream, expected in steps:
        decoder.feed(stream)
        assert decoder.last_event_id == expected


def test_signs_of_life_dispatch_nothing() -> None:
    """Comments, waits and bare positions are no events."""
    decoder = Decoder()
    assert decoder.feed(comment() + comment("ok") + retry(2000) + id_only("a:1")) == []
    assert decoder.retry_ms == 2000


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "a\nb", ""])
def test_a_name_that_breaks_the_frame_is_refused(bad: str) -> None:
    """CR, LF, NUL and nothing at all are no event names, and no parts of positions or comments."""
    with pytest.raises(ValueError, match=r"CR, LF and NUL|needs a name"):
        encode_frame(bad, b"{}")
    if bad:
        with pytest.raises(ValueError, match="CR, LF and NUL"):
            with_id(b"", bad)
        with pytest.raises(ValueError, match="CR, LF and NUL"):
            comment(bad)


@pytest.mark.parametrize("bad", [b"a\nb", b"\r"])
def test_data_of_two_lines_is_refused(bad: bytes) -> None:
    """A line end in the data would begin another field."""
    with pytest.raises(ValueError, match="one line"):
        encode_frame("e", bad)


def test_msgspec_escapes_what_ends_lines() -> None:
    """The encoder in use never writes a raw line end, which frames depend on."""
    assert msgspec.json.encode("\r\n\0") == b'"\\r\\n\\u0000"'
