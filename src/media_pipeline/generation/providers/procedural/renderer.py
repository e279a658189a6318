"""The renderer process.

Drawing holds the interpreter lock for up to 200 ms at a time, so it has a process of its own.
"""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from media_pipeline.children.child import serve
from media_pipeline.generation.providers.procedural.order import Order
from media_pipeline.generation.providers.procedural.render import render
from media_pipeline.generation.providers.said import Failed, Message


def draw(order: Order) -> Generator[Message, None, None]:
    """Render `order`; what goes wrong is its last message."""
    try:
        yield from render(order)
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError) as error:
        yield Failed(f"The picture could not be drawn: {type(error).__name__}.")


if __name__ == "__main__":
    serve(msgspec.msgpack.Decoder(Order), draw)
