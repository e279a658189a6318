"""Files as people and attackers send them, made here, each with its right answer.

A good file shows four quarters when it is upright: red, green above blue, white.
"""

from __future__ import annotations

import functools
import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import pillow_heif
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from PIL import Image, ImageCms, PngImagePlugin

pillow_heif.register_heif_opener()
WIDTH, HEIGHT = 96, 64
FRAMES: Final = 24
FPS: Final = 12
QUARTERS: Final = ((255, 0, 0), (0, 200, 0), (0, 0, 255), (255, 255, 255))
SECRET: Final = b"Ada's camera"
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class Good:
    """What a file is; sides as shown, seconds."""

    content_type: str
    width: int = WIDTH
    height: int = HEIGHT
    duration: float | None = None


@dataclass(frozen=True)
class Bad:
    """Why a file is refused."""

    code: str


@dataclass(frozen=True)
class Sample:
    """One file: what it is called, how it is made, and its right answer."""

    filename: str
    make: Callable[[], bytes]
    answer: Good | Bad


def upright() -> Image.Image:
    """Return the picture as it should be shown."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rows = slice(None, HEIGHT // 2), slice(HEIGHT // 2, None)
    columns = slice(None, WIDTH // 2), slice(WIDTH // 2, None)
    for index, colour in enumerate(QUARTERS):
        pixels[rows[index // 2], columns[index % 2]] = colour
    return Image.fromarray(pixels)


def still(kind: str, *, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    upright().convert(mode).save(out, kind, **options)
    return out.getvalue()


def exif(orientation: int = 1) -> Image.Exif:
    """Return what a telephone writes: how it was held, whose it is, and where."""
    tags = Image.Exif()
    tags[0x0112], tags[0x010F] = orientation, SECRET.decode()
    place = tags.get_ifd(0x8825)
    place[1], place[2], place[3], place[4] = "N", (52.0, 31.0, 12.0), "E", (13.0, 24.0, 18.0)
    return tags


def turned(orientation: int, kind: str = "JPEG", **options: Any) -> bytes:
    """Return a picture whose camera was held otherwise, with its place in it."""
    picture = upright().transpose(_TURNS[orientation]) if orientation in _TURNS else upright()
    out = io.BytesIO()
    picture.save(out, kind, exif=exif(orientation), **options)
    return out.getvalue()


def sixteen_bits() -> bytes:
    """Return a grey PNG of sixteen bits."""
    grey = np.asarray(upright().convert("L"), np.uint16) * 257
    out = io.BytesIO()
    Image.fromarray(grey).save(out, "PNG")
    return out.getvalue()


def cmyk() -> bytes:
    return still("JPEG", mode="CMYK", quality=95)


def animated(kind: str) -> bytes:
    first = upright()
    rest = [first.transpose(Image.Transpose.ROTATE_180), first]
    out = io.BytesIO()
    first.save(out, kind, save_all=True, append_images=rest, duration=100, loop=0)
    return out.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG that says it is huge, and is: its rows are compressed zeros."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    row = bytes(1 + width // 8)
    packed = b"".join(packer.compress(row) for _ in range(min(height, 2000))) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    """Return a JPEG whose header says 50,000 by 50,000."""
    data = bytearray(still("JPEG"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", 50_000, 50_000)
    return bytes(data)


def gif_bomb() -> bytes:
    data = bytearray(still("GIF"))
    data[6:10] = struct.pack("<HH", 50_000, 50_000)
    return bytes(data)


@functools.cache
def film(
    codec: str = "libx264",
    kind: str = "mp4",
    *,
    rotation: int = 0,
    variable: bool = False,
    sound: bool = False,
    frames: int = FRAMES,
    faststart: bool = True,
    live: bool = False,
) -> bytes:
    """Return a film of the picture, upright once turned by `rotation` degrees against the clock."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film"
        options = {"movflags": "+faststart"} if faststart and kind != "webm" else {}
        options |= {"live": "1"} if live else {}
        with av.open(str(path), "w", format=kind, options=options) as container:
            _shoot(container, codec, rotation=rotation, variable=variable, sound=sound, frames=frames)
        data = path.read_bytes()
    return _with_matrix(data, rotation) if rotation else data


def _shoot(
    container: av.container.OutputContainer,
    codec: str,
    *,
    rotation: int,
    variable: bool,
    sound: bool,
    frames: int,
) -> None:
    container.metadata["comment"] = SECRET.decode()
    container.metadata["location"] = "+52.5200+013.4050/"
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    stream = container.add_stream(codec, rate=FPS, options=options)
    assert isinstance(stream, VideoStream)
    picture = np.asarray(upright().rotate(-rotation, expand=True))
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, 1200)
    voice = "libopus" if container.format.name == "webm" else "aac"
    hum = container.add_stream(voice, rate=48000) if sound else None
    assert hum is None or isinstance(hum, AudioStream)
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        late = 30 * (index % 3) if variable else 0
        frame.pts, frame.time_base = index * 100 + late, Fraction(1, 1200)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    if hum is not None:
        for index in range(frames * 48000 // FPS // 960):
            noise = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="fltp", layout="mono")
            noise.sample_rate, noise.pts = 48000, index * 960
            container.mux(hum.encode(noise))
        container.mux(hum.encode(None))


def _with_matrix(data: bytes, rotation: int) -> bytes:
    """Write into the track's header how far it is to be turned."""
    cos, sin = {90: (0, -1), 180: (-1, 0), 270: (0, 1)}[rotation]
    matrix = struct.pack(">9i", cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    start = data.index(b"tkhd") + 4 + 40
    return data[:start] + matrix + data[start + 36 :]


def text_of_place() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", SECRET.decode())
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return still("PNG", pnginfo=info, exif=exif(), icc_profile=profile)


HTML: Final = b"<!doctype html><script>alert(1)</script>"
SVG: Final = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
PLAYLIST: Final = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
VARIABLE: Final = Good("video/mp4", duration=2.05)
MP4, MOV, WEBM = (
    Good("video/mp4", duration=2.0),
    Good("video/quicktime", duration=2.0),
    Good("video/webm", duration=2.0),
)

SAMPLES: Final[dict[str, Sample]] = {
    **{
        f"orientation {turn}": Sample("a.jpg", functools.partial(turned, turn), Good("image/jpeg"))
        for turn in range(1, 9)
    },
    "progressive": Sample("a.jpg", functools.partial(still, "JPEG", progressive=True), Good("image/jpeg")),
    "cmyk": Sample("a.jpg", cmyk, Good("image/jpeg")),
    "png with words": Sample("a.png", text_of_place, Good("image/png")),
    "png of 16 bits": Sample("a.png", sixteen_bits, Good("image/png")),
    "png with a palette": Sample("a.png", functools.partial(still, "PNG", mode="P"), Good("image/png")),
    "animated png": Sample("a.png", functools.partial(animated, "PNG"), Good("image/png")),
    "webp": Sample("a.webp", functools.partial(still, "WEBP", exif=exif()), Good("image/webp")),
    "turned webp": Sample("a.webp", functools.partial(turned, 6, "WEBP"), Good("image/webp")),
    "animated webp": Sample("a.webp", functools.partial(animated, "WEBP"), Good("image/webp")),
    "avif": Sample("a.avif", functools.partial(still, "AVIF"), Good("image/avif")),
    "heic": Sample("a.heic", functools.partial(still, "HEIF"), Good("image/heic")),
    "gif": Sample("a.gif", functools.partial(still, "GIF"), Good("image/gif")),
    "animated gif": Sample("a.gif", functools.partial(animated, "GIF"), Good("image/gif")),
    "h264": Sample("a.mp4", film, MP4),
    "h264, index at the end": Sample("a.mp4", functools.partial(film, faststart=False), MP4),
    "h264 with sound": Sample("a.mp4", functools.partial(film, sound=True), MP4),
    "hevc": Sample("a.mp4", functools.partial(film, "libx265"), MP4),
    "av1": Sample("a.mp4", functools.partial(film, "libsvtav1"), MP4),
    **{
        f"turned film {turn}": Sample("a.mp4", functools.partial(film, rotation=turn), MP4)
        for turn in (90, 180, 270)
    },
    "variable rate": Sample("a.mp4", functools.partial(film, variable=True), VARIABLE),
    "webm": Sample("a.webm", functools.partial(film, "libvpx-vp9", "webm"), WEBM),
    "webm of a browser": Sample("a.webm", functools.partial(film, "libvpx", "webm", sound=True), WEBM),
    "webm that does not say its length": Sample(
        "a.webm", functools.partial(film, "libvpx", "webm", live=True), WEBM
    ),
    "mov": Sample("a.mov", functools.partial(film, kind="mov"), MOV),
    "png with html behind": Sample("a.png", lambda: still("PNG") + HTML, Good("image/png")),
    "jpeg with zip behind": Sample(
        "a.jpg", lambda: still("JPEG") + b"PK\3\4" + bytes(60), Good("image/jpeg")
    ),
    "no bytes": Sample("a.png", bytes, Bad("empty_file")),
    "png cut off": Sample("a.png", lambda: still("PNG")[:-40], Bad("bad_media")),
    "jpeg cut off": Sample("a.jpg", lambda: turned(1)[:-300], Bad("bad_media")),
    "webp cut off": Sample("a.webp", lambda: still("WEBP")[:-40], Bad("bad_media")),
    "film cut off": Sample("a.mp4", lambda: film(frames=240)[:-2000], Bad("bad_media")),
    "film without its index": Sample("a.mp4", lambda: film(faststart=False)[:-400], Bad("bad_media")),
    "png bomb": Sample("a.png", lambda: bomb(50_000, 50_000), Bad("bad_media")),
    "jpeg bomb": Sample("a.jpg", jpeg_bomb, Bad("bad_media")),
    "gif bomb": Sample("a.gif", gif_bomb, Bad("bad_media")),
    "png head, html body": Sample("a.png", lambda: b"\x89PNG\r\n\x1a\n" + HTML, Bad("bad_media")),
    "gif head, script body": Sample("a.gif", lambda: b"GIF89a/*" + HTML + b"*/=1;", Bad("bad_media")),
    "svg": Sample("a.svg", lambda: SVG, Bad("type_not_allowed")),
    "svg named png": Sample("a.png", lambda: SVG, Bad("type_not_allowed")),
    "html named png": Sample("a.png", lambda: HTML, Bad("type_not_allowed")),
    "pdf named png": Sample("a.png", lambda: b"%PDF-1.7\n", Bad("type_not_allowed")),
    "playlist named mp4": Sample("a.mp4", lambda: PLAYLIST, Bad("type_not_allowed")),
    "mp4 head, playlist body": Sample(
        "a.mp4", lambda: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + PLAYLIST, Bad("bad_media")
    ),
    "bmp named png": Sample("a.png", functools.partial(still, "BMP"), Bad("type_not_allowed")),
}
