"""The renderer process: reads orders, answers with steps, ends with its parent.

Drawing holds the interpreter lock for up to 200 ms at a time, so it has a process of its own. Nothing
watches the parent: when that is gone, also by `kill -9`, the next message meets a broken pipe or the next
order never comes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final, NoReturn

from media_pipeline.generation.providers.procedural.render import render
from media_pipeline.generation.providers.procedural.wire import (
    PREFIX,
    Failed,
    Message,
    Order,
    pack,
    unpack_order,
)

_NICE: Final = 5
"""The service answers first; the picture may take a little longer."""


def main() -> None:
    """Serve orders from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, _leave)
    os.nice(_NICE)
    inbox, outbox = sys.stdin.buffer, _private_stdout()
    try:
        for order in _orders(inbox):
            _serve(order, outbox)
    except BrokenPipeError:
        _leave()


def _serve(order: Order, outbox: BinaryIO) -> None:
    try:
        with closing(render(order)) as messages:
            for message in messages:
                _say(message, outbox)
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError) as error:
        _say(Failed(f"The picture could not be drawn: {type(error).__name__}."), outbox)


def _say(message: Message, outbox: BinaryIO) -> None:
    outbox.write(pack(message))
    outbox.flush()


def _orders(inbox: BinaryIO) -> Iterator[Order]:
    while prefix := inbox.read(PREFIX.size):
        yield unpack_order(inbox.read(PREFIX.unpack(prefix)[0]))


def _private_stdout() -> BinaryIO:
    """Keep the pipe for messages alone: whatever a library prints goes to standard error."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe


def _leave(*_: object) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
