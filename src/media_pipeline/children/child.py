"""The child's side: reads orders, answers with what happens, ends with its parent.

Nothing watches the parent: when that is gone, also by `kill -9`, the next message meets a broken pipe or the
next order never comes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import BinaryIO, Final, NoReturn, TypeVar

import msgspec

from media_pipeline.children.cage import forbid_network
from media_pipeline.children.limits import Limits, allow_cpu, confine
from media_pipeline.children.wire import DONE, PREFIX, pack

Order = TypeVar("Order")
Work = Callable[[Order], Generator[msgspec.Struct, None, None]]
_NICE: Final = 5
"""The service answers first; its children may take a little longer."""


def serve(orders: msgspec.msgpack.Decoder[Order], work: Work[Order]) -> None:
    """Do `work` for every order on standard input until that ends; what it raises ends the process.

    Comes after every import: with limits on the command line the process is confined from here on.
    """
    limits = Limits.read(sys.argv[1]) if len(sys.argv) > 1 else None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, _leave)
    os.nice(_NICE)
    inbox, outbox = sys.stdin.buffer, _private_stdout()
    if limits is not None:
        confine(limits)
        forbid_network()
    try:
        for body in _bodies(inbox):
            if limits is not None:
                allow_cpu(limits.cpu_seconds)
            _answer(work(orders.decode(body)), outbox)
    except BrokenPipeError:
        _leave()


def _answer(work: Generator[msgspec.Struct, None, None], outbox: BinaryIO) -> None:
    with closing(work) as messages:
        for message in messages:
            outbox.write(pack(message))
            outbox.flush()
    outbox.write(DONE)
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
