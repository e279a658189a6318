"""Films: opened by one demuxer alone, measured, read to their end, shown by their first frame.

Everything here blocks and runs in a child process. A film is read through one open file, so nothing that it
points at (playlists, references, addresses) is ever opened. What a film is stands in its header, so opening
it decodes nothing; that it can be decoded, its first frame shows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image

from media_pipeline.media.workshop.orders import Examined
from media_pipeline.media.workshop.refusal import MAX_PIXELS, BadPicture, refusing, too_big
from media_pipeline.media.workshop.stills import write_ladder

_MOV_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_WEBM_CODECS: Final = frozenset({"vp8", "vp9", "av1", "opus", "vorbis"})
_CODECS: Final = _WEBM_CODECS | {"h264", "hevc", "mpeg4", "mjpeg", "prores"}
"""Moving pictures that are decoded; every other decoder of the library stays shut."""
_HEADER_ALONE: Final = {"codec_whitelist": "none"}
"""Of the demuxer, which would decode a frame of each stream to learn more than its header says."""
_NEAR_END: Final = 2.0
_RIGHT_ANGLE: Final = 90


def examine_film(file: Path, folder: Path) -> Examined:
    """Decode the first frame and one near the end; `BadPicture` for what is no whole film."""
    with opened(file) as (container, stream):
        frame = first_frame(container, stream)
        poster = upright(frame, stream)
        smalls, mark = write_ladder(poster, folder)
        duration = _read_to_end(container, stream)
        return Examined(
            content_type=film_type(container),
            width=poster.width,
            height=poster.height,
            duration=duration,
            thumbnails=smalls,
            thumbhash=mark,
        )


@contextmanager
def opened(file: Path, *, closely: bool = False) -> Generator[tuple[InputContainer, VideoStream], None, None]:
    """Open a film and its first moving pictures; `closely` decodes some of each stream, as encoding needs."""
    options = {} if closely else _HEADER_ALONE
    with (
        refusing("film"),
        file.open("rb") as source,
        av.open(
            source, "r", format=_demuxer(source), metadata_errors="replace", options=options
        ) as container,
    ):
        stream = _video(container)
        if closely or stream.width * stream.height:
            yield container, stream
            return
    with opened(file, closely=True) as looked:
        yield looked


def first_frame(container: InputContainer, stream: VideoStream) -> av.VideoFrame:
    """Decode the first frame, or raise `BadPicture`."""
    frame = next(container.decode(stream), None)
    if frame is None:
        raise BadPicture("The film has no frame that can be decoded.")
    _check_size(frame)
    return frame


def upright(frame: av.VideoFrame, stream: VideoStream) -> Image.Image:
    """Return a frame as it is shown: with square pixels and turned."""
    width, height = square_size(frame, stream)
    picture = Image.fromarray(frame.to_ndarray(format="rgb24", width=width, height=height))
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


def square_size(frame: av.VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Return a frame's sides before it is turned, were its pixels square."""
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return (round(frame.width * ratio) if ratio else frame.width), frame.height


def sideways(frame: av.VideoFrame) -> bool:
    """Tell whether a frame is shown with its sides swapped."""
    return frame.rotation % 180 == _RIGHT_ANGLE


def film_type(container: InputContainer) -> str:
    """Return what the file is, by its container and what is in it."""
    if "matroska" in container.format.name:
        webm = all(stream.codec_context.codec.canonical_name in _WEBM_CODECS for stream in container.streams)
        return "video/webm" if webm else "video/x-matroska"
    return "video/quicktime" if container.metadata.get("major_brand", "qt  ") == "qt  " else "video/mp4"


def said_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the length as the file says it."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _read_to_end(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the length in seconds, once the last frames could be read.

    A film that does not say its length, as browsers record them, is read through for it.
    """
    seconds = said_seconds(container, stream)
    if seconds is None:
        container.seek(0)
        return max((_end(packet) for packet in container.demux(stream)), default=None)
    start = container.start_time or 0
    container.seek(start + int(max(0.0, seconds - _NEAR_END) * av.time_base), backward=True)
    last = max((_end(packet) for packet in container.demux(stream)), default=0.0)
    if last < (start / av.time_base + seconds) / 2:
        raise BadPicture("The film is cut off.")
    return seconds


def _end(packet: av.Packet[Any]) -> float:
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _demuxer(file: BinaryIO) -> str:
    """Name the demuxer by the first bytes, so that none is ever guessed."""
    head = file.read(12)
    file.seek(0)
    if head[4:8] in _MOV_BOXES:
        return "mov"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    raise BadPicture("The file is not a film of a known kind.")


def _video(container: InputContainer) -> VideoStream:
    stream = next(_moving(container), None)
    if stream is None:
        raise BadPicture("The file has no moving pictures.")
    _check_size(stream)
    if stream.codec_context.codec.canonical_name not in _CODECS:
        raise BadPicture(f"Films in {stream.codec_context.codec.canonical_name} are not taken.")
    return stream


def _check_size(shown: VideoStream | av.VideoFrame) -> None:
    """Refuse what has too many pixels: a header may say less than its frames have."""
    if shown.width * shown.height > MAX_PIXELS:
        raise BadPicture(too_big("film"))


def _moving(container: InputContainer) -> Iterator[VideoStream]:
    """Yield the video streams that are no cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            yield stream
