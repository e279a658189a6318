"""The workshop's child process: decodes and encodes what nobody trusts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final, assert_never

import msgspec

from media_pipeline.children.child import serve
from media_pipeline.media.boxes import mp4_xmp
from media_pipeline.media.marks import Malformed, png_xmp, read_facts
from media_pipeline.media.pictures import stamp_mp4, to_png
from media_pipeline.media.workshop.edits import edit_still
from media_pipeline.media.workshop.films import examine_film
from media_pipeline.media.workshop.orders import (
    Convert,
    Crop,
    Examine,
    Made,
    Make,
    Mark,
    Message,
    Order,
    Poster,
    Recall,
    Recalled,
    Refused,
    Resize,
    Transcode,
    Trim,
)
from media_pipeline.media.workshop.reels import edit_film
from media_pipeline.media.workshop.refusal import BadPicture, refusing
from media_pipeline.media.workshop.stills import examine_still

_XMP_OF: Final[Mapping[str, Callable[[mmap], bytes]]] = {"image/png": png_xmp, "video/mp4": mp4_xmp}


def work(order: Order) -> Generator[Message, None, None]:
    """Do one order; a file that cannot be read is its last message."""
    what = "film" if order.content_type.startswith("video/") else "picture"
    try:
        with refusing(what):
            yield from _do(order)
    except BadPicture as error:
        yield Refused(reason=str(error))


def _do(order: Order) -> Generator[Message, None, None]:
    match order:
        case Examine():
            return _examine(order)
        case Make():
            return _make(order)
        case Mark():
            return _mark(order)
        case Recall():
            return _recall(order)
    assert_never(order)


def _mark(order: Mark) -> Generator[Message, None, None]:
    mark = to_png if order.content_type == "image/png" else stamp_mp4
    marked = mark(Path(order.file).read_bytes(), text=order.text, xmp=order.xmp)
    (Path(order.folder) / "marked").write_bytes(marked)
    yield Made(name="marked", content_type=order.content_type)


def _recall(order: Recall) -> Generator[Message, None, None]:
    facts: dict[str, str] = {}
    if (read := _XMP_OF.get(order.content_type)) is not None:
        with (
            suppress(Malformed),
            Path(order.file).open("rb") as file,
            mmap(file.fileno(), 0, access=ACCESS_READ) as data,
        ):
            facts = read_facts(read(data))
    yield Recalled(facts=facts)


def _examine(order: Examine) -> Generator[Message, None, None]:
    file, folder = Path(order.file), Path(order.folder)
    if order.content_type.startswith("video/"):
        yield examine_film(file, folder)
    else:
        yield examine_still(file, folder, order.content_type)


def _make(order: Make) -> Generator[Message, None, None]:
    file, folder, operation = Path(order.file), Path(order.folder), order.operation
    film = order.content_type.startswith("video/")
    if film and not isinstance(operation, Resize | Crop | Convert):
        yield from edit_film(file, folder, operation)
    elif not film and not isinstance(operation, Poster | Transcode | Trim):
        yield from edit_still(file, folder, order.content_type, operation)
    else:
        raise BadPicture("The file cannot take this operation.")


if __name__ == "__main__":
    # PyAV stays mute: with any log level its threads wait for Python's lock while Python waits for them.
    serve(msgspec.msgpack.Decoder(Order), work)
