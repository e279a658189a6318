"""Pictures and films as bytes: decode for real, measure, make small, re-encode, mark.

Everything here is pure and blocks; call it off the event loop. `BadPicture` means that the bytes are not
what they claim to be, or are more than this service decodes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO, ClassVar, Final

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image, ImageOps, UnidentifiedImageError

from media_pipeline.errors import MediaPipelineError
from media_pipeline.media.boxes import mark_mp4
from media_pipeline.media.marks import Malformed, mark_png, xmp_packet

__all__ = [
    "BadPicture",
    "Measured",
    "measure_image",
    "measure_video",
    "poster",
    "stamp_mp4",
    "thumbnail",
    "to_png",
    "xmp_packet",
]

MAX_PIXELS: Final = 80_000_000
"""A decoded picture of this many pixels takes 320 MB; more is refused before it is decoded."""
_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF")
_PLAIN_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_POSTER_SIDE: Final = 512
_MOV_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_WEBM_CODECS: Final = frozenset({"vp8", "vp9", "libdav1d", "av1", "libvpx", "libvpx-vp9", "opus", "vorbis"})

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


class BadPicture(MediaPipelineError):
    """The bytes cannot be read as the picture or film they are said to be."""

    code: ClassVar[str] = "bad_media"


@dataclass(frozen=True, slots=True)
class Measured:
    """Pixels as shown (turned upright), seconds for films, and what the content really is."""

    width: int
    height: int
    content_type: str
    duration: float | None = None


def measure_image(data: bytes) -> Measured:
    """Decode the first frame of a picture and return its size."""
    with _opened(data) as picture:
        content_type = Image.MIME.get(picture.format or "", "application/octet-stream")
        upright = ImageOps.exif_transpose(picture)
        return Measured(upright.width, upright.height, content_type)


def thumbnail(data: bytes, *, side: int = 512) -> bytes:
    """Return a WebP at most `side` wide and high, upright, without any metadata."""
    with _opened(data, draft=side) as picture:
        return _small_webp(ImageOps.exif_transpose(picture), side)


def to_png(data: bytes, *, text: Mapping[str, str], xmp: bytes) -> bytes:
    """Return the picture as PNG that carries `text` and `xmp`.

    A PNG keeps its pixel bytes and its other chunks; only text of the same keys and XMP are replaced.
    Anything else is decoded, turned upright and encoded anew.
    """
    with _opened(data) as picture:
        if picture.format == "PNG":
            return mark_png(data, text=text, xmp=xmp)
        return mark_png(_encoded(picture), text=text, xmp=xmp)


def measure_video(source: bytes | PathLike[str]) -> Measured:
    """Decode the first frame of a film and return its size as shown and its length."""
    with _film(source) as (container, stream):
        frame = _first_frame(container, stream)
        sideways = frame.rotation % 180 != 0
        width, height = (frame.height, frame.width) if sideways else (frame.width, frame.height)
        return Measured(width, height, _film_type(container), _seconds(container, stream))


def poster(source: bytes | PathLike[str]) -> bytes:
    """Return the first frame of a film as a small WebP, upright."""
    with _film(source) as (container, stream):
        frame = _first_frame(container, stream)
        picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
        if frame.rotation:
            picture = picture.rotate(frame.rotation, expand=True)
        return _small_webp(picture, _POSTER_SIDE)


def stamp_mp4(data: bytes, *, text: Mapping[str, str], xmp: bytes) -> bytes:
    """Return the film as MP4 with `text` as its comment, a prompt as its title, and `xmp`.

    Pictures and sound keep their bytes. The film must already be MP4: `BadPicture` otherwise.
    """
    if measure_video(data).content_type != "video/mp4":
        raise BadPicture("The film is not an MP4.")
    try:
        return mark_mp4(data, text=text, xmp=xmp)
    except Malformed as error:
        raise BadPicture("The MP4 is damaged.") from error


@contextmanager
def _opened(data: bytes, *, draft: int | None = None) -> Iterator[Image.Image]:
    """Open and fully decode; with `draft`, a JPEG may be decoded at a smaller size of its own."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            if draft:
                picture.draft("RGB", (draft * 2, draft * 2))
            picture.load()
            yield picture
    except UnidentifiedImageError as error:
        raise BadPicture("The file is not a picture of a known kind.") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError, MemoryError) as error:
        raise BadPicture(_too_big()) from error
    except Malformed as error:
        raise BadPicture("The PNG is damaged.") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise BadPicture("The picture is damaged or cut off.") from error


def _too_big() -> str:
    return f"The picture has more than {MAX_PIXELS // 1_000_000} million pixels."


def _encoded(picture: Image.Image) -> bytes:
    upright = ImageOps.exif_transpose(picture)
    plain = upright if upright.mode in _PLAIN_MODES else upright.convert("RGB")
    out = io.BytesIO()
    plain.save(out, "PNG", compress_level=6, exif=b"", icc_profile=picture.info.get("icc_profile"))
    return out.getvalue()


def _small_webp(picture: Image.Image, side: int) -> bytes:
    alpha = picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info
    if picture.mode.startswith("I"):  # sixteen bits, which `convert` would cut off instead of scaling
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    small = picture.convert("RGBA" if alpha else "RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=78, method=4, exif=b"", xmp=b"", icc_profile=None)
    return out.getvalue()


@contextmanager
def _film(source: bytes | PathLike[str]) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a film from memory or one plain file: no addresses, no playlists, nothing it points at."""
    with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
        kind = _container(file)
        try:
            with av.open(file, "r", format=kind, metadata_errors="replace") as container:
                yield container, _video(container)
        except av.error.FFmpegError as error:
            raise BadPicture("The film is damaged or cut off.") from error


def _container(file: BinaryIO) -> str:
    """Name the demuxer by the first bytes, so that none is ever guessed."""
    head = file.read(12)
    file.seek(0)
    if head[4:8] in _MOV_BOXES:
        return "mov"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    raise BadPicture("The file is not a film of a known kind.")


def _video(container: InputContainer) -> VideoStream:
    stream = next(iter(container.streams.video), None)
    if stream is None:
        raise BadPicture("The file has no moving pictures.")
    if stream.width * stream.height > MAX_PIXELS:
        raise BadPicture(_too_big())
    return stream


def _first_frame(container: InputContainer, stream: VideoStream) -> av.VideoFrame:
    frame = next(container.decode(stream), None)
    if frame is None:
        raise BadPicture("The film has no frame that can be decoded.")
    return frame


def _film_type(container: InputContainer) -> str:
    if "matroska" in container.format.name:
        webm = all(stream.codec_context.name in _WEBM_CODECS for stream in container.streams)
        return "video/webm" if webm else "video/x-matroska"
    return "video/quicktime" if container.metadata.get("major_brand", "qt  ") == "qt  " else "video/mp4"


def _seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None
