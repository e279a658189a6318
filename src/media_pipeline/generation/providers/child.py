"""What the service and a child process say to each other, and the child's own loop.

Messages are length-prefixed MessagePack on the child's standard input and output. Drawing holds the
interpreter lock for long, and a model can only be stopped for sure with its process; so local work has
processes of its own.
Nothing watches the parent: when that is gone, also by `kill -9`, the next message meets a broken pipe or the
next order never comes.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import BinaryIO, Final, NoReturn, TypeVar

import msgspec

PREFIX: Final = struct.Struct(">I")
_NICE: Final = 5
"""The service answers first; the picture may take a little longer."""


class Step(msgspec.Struct, frozen=True, tag=True):
    """`done` of `total` steps or frames exist."""

    done: int
    total: int


class Partial(msgspec.Struct, frozen=True, tag=True):
    """The picture as it is now, a small WebP."""

    data: bytes


class Finished(msgspec.Struct, frozen=True, tag=True):
    """The file that was ordered."""

    data: bytes


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The order cannot be met; `reason` is one sentence."""

    reason: str


Message = Step | Partial | Finished | Failed
Order = TypeVar("Order", bound=msgspec.Struct)

_messages = msgspec.msgpack.Decoder(Message)


def pack(message: msgspec.Struct) -> bytes:
    """Encode with the length in front."""
    body = msgspec.msgpack.encode(message)
    return PREFIX.pack(len(body)) + body


def unpack_message(body: bytes) -> Message:
    """Decode what stood behind the length."""
    message: Message = _messages.decode(body)
    return message


def serve_orders(
    orders: type[Order],
    work: Callable[[Order], Generator[Message, None, None]],
    *,
    faults: tuple[type[Exception], ...],
) -> None:
    """Do orders from standard input until it ends; `faults` of one become `Failed`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, _leave)
    os.nice(_NICE)
    inbox, outbox = sys.stdin.buffer, _private_stdout()
    decoder = msgspec.msgpack.Decoder(orders)
    try:
        for body in _bodies(inbox):
            _serve(work(decoder.decode(body)), outbox, faults)
    except BrokenPipeError:
        _leave()


def _serve(
    working: Generator[Message, None, None], outbox: BinaryIO, faults: tuple[type[Exception], ...]
) -> None:
    try:
        with closing(working) as messages:
            for message in messages:
                _say(message, outbox)
    except faults as error:
        _say(Failed(f"The work could not be done: {type(error).__name__}."), outbox)


def _say(message: Message, outbox: BinaryIO) -> None:
    outbox.write(pack(message))
    outbox.flush()


def _bodies(inbox: BinaryIO) -> Iterator[bytes]:
    while prefix := inbox.read(PREFIX.size):
        yield inbox.read(PREFIX.unpack(prefix)[0])


def _private_stdout() -> BinaryIO:
    """Keep the pipe for messages alone: whatever a library prints goes to standard error."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe


def _leave(*_: object) -> NoReturn:
    raise SystemExit(0)
