"""The picture tools: real decodes, exact marks, safe small pictures."""

from __future__ import annotations

import io
import json
import tempfile
import zlib
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from PIL import Image, ImageCms, PngImagePlugin

from media_pipeline.media import pictures
from media_pipeline.media.boxes import Box, read_boxes
from media_pipeline.media.marks import Chunk, read_chunks
from media_pipeline.media.pictures import BadPicture
from media_pipeline.media.workshop import films
from media_pipeline.media.workshop.films import examine_film
from media_pipeline.media.workshop.orders import Examined, Transcode
from media_pipeline.media.workshop.reels import edit_film
from media_pipeline.media.workshop.stills import examine_still
from tests import corpus
from tests.corpus import MOV, MP4, SAMPLES, VARIABLE, WEBM, Sample

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
XMP = pictures.xmp_packet(SOURCE, software="Media Pipeline <&>")
TEXT = {"Software": "Media Pipeline", "prompt": 'Häfen <&> "日本" 🎨', "seed": "7", "provider": "procedural"}
XMP_BOX = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
ORIENTATION = 0x0112


def gradient(width: int = 60, height: int = 40, *, mode: str = "RGB") -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    rgb = np.stack([columns * 255 // width, rows * 255 // height, np.full_like(rows, 90)], axis=-1)
    return Image.fromarray(rgb.astype(np.uint8)).convert(mode)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def turned_jpeg() -> bytes:
    """A JPEG that a camera held sideways would write, with a place in it."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif.get_ifd(0x8825)[1] = "N"
    return encoded(gradient(), "JPEG", exif=exif, comment=b"secret place")


def film(
    path: Path, *, options: dict[str, str] | None = None, kind: str = "mp4", codec: str = "libx264"
) -> bytes:
    with av.open(
        str(path), "w", format=kind, options={"movflags": "+faststart"} if options is None else options
    ) as container:
        stream = container.add_stream(codec, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(12):
            pixels = np.roll(np.asarray(gradient(64, 48)), index * 3, axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def frames(data: bytes) -> list[bytes]:
    with av.open(io.BytesIO(data), "r") as container:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]


def look(data: bytes, content_type: str = "image/png") -> tuple[Examined, Image.Image]:
    """Examine a file; return what it is and its largest thumbnail."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "file"
        file.write_bytes(data)
        film = content_type.startswith("video/")
        seen = examine_film(file, folder) if film else examine_still(file, folder, content_type)
        with Image.open(folder / seen.thumbnails[0].name) as small:
            small.load()
            return seen, small


def size(data: bytes, content_type: str = "image/png") -> tuple[int, int]:
    seen, _ = look(data, content_type)
    assert seen.content_type == content_type
    return seen.width, seen.height


def source_type(xmp: bytes) -> str | None:
    root = ET.fromstring(xmp.decode())
    return root.findtext(".//{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")


def test_a_png_keeps_its_pixel_bytes() -> None:
    """Marking a PNG keeps its compressed pixels byte for byte."""
    before = encoded(gradient(), "PNG")
    after = pictures.to_png(before, text=TEXT, xmp=XMP)
    pixels = [[c.body for c in read_chunks(data) if c.kind == b"IDAT"] for data in (before, after)]
    assert pixels[0] == pixels[1]


def test_marks_are_read_back() -> None:
    """Text in any script and the digital source type are read back by another program's code."""
    with Image.open(io.BytesIO(pictures.to_png(encoded(gradient(), "PNG"), text=TEXT, xmp=XMP))) as picture:
        picture.load()
        assert isinstance(picture, PngImagePlugin.PngImageFile)
        assert {key: picture.text[key] for key in TEXT} == TEXT
        assert source_type(picture.info["xmp"]) == SOURCE


def test_marks_are_replaced_not_repeated() -> None:
    """Marking twice gives the same as marking once; other text and profiles stay."""
    info = PngImagePlugin.PngInfo()
    info.add_text("seed", "old")
    info.add_text("Author", "Ada", zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(gradient(), "PNG", pnginfo=info, icc_profile=profile)
    once = pictures.to_png(data, text=TEXT, xmp=XMP)
    assert pictures.to_png(once, text=TEXT, xmp=XMP) == once
    with Image.open(io.BytesIO(once)) as picture:
        picture.load()
        assert (picture.info["seed"], picture.info["Author"]) == ("7", "Ada")
        assert picture.info["icc_profile"] == profile


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_other_kinds_become_png(kind: str) -> None:
    """Any other kind of picture is decoded and becomes a marked PNG of the same size."""
    after = pictures.to_png(encoded(gradient(), kind), text=TEXT, xmp=XMP)
    assert size(after) == (60, 40)
    with Image.open(io.BytesIO(after)) as picture:
        picture.load()
        assert picture.info["prompt"] == TEXT["prompt"]


def test_a_cmyk_picture_becomes_png() -> None:
    """A picture in a mode that PNG does not know is converted."""
    after = pictures.to_png(encoded(gradient(mode="CMYK"), "JPEG"), text={}, xmp=XMP)
    assert size(after) == (60, 40)


def test_what_follows_the_end_of_a_png_is_dropped() -> None:
    """Bytes behind the end of a PNG, such as a second file, are not kept."""
    after = pictures.to_png(encoded(gradient(), "PNG") + b"PK\x03\x04 hidden", text={}, xmp=XMP)
    assert b"hidden" not in after


def test_a_turned_photo_is_measured_and_shown_upright() -> None:
    """A photo that says it lies on its side is measured, encoded and made small upright."""
    data = turned_jpeg()
    assert size(data, "image/jpeg") == (40, 60)
    assert size(pictures.to_png(data, text={}, xmp=XMP)) == (40, 60)
    assert look(data, "image/jpeg")[1].size == (40, 60)


def test_a_thumbnail_tells_nothing() -> None:
    """A thumbnail carries no metadata of the picture it was made from."""
    _, small = look(turned_jpeg(), "image/jpeg")
    assert not small.getexif()
    assert not {"exif", "xmp", "icc_profile", "comment"} & {key for key in small.info if small.info[key]}


@pytest.mark.parametrize(
    ("picture", "shown"),
    [
        (gradient(mode="RGBA").rotate(20), "RGBA"),
        (gradient(mode="LA").rotate(20), "RGBA"),
        (gradient(mode="P"), "RGB"),
        (gradient(mode="L"), "RGB"),
    ],
)
def test_a_thumbnail_keeps_transparency(picture: Image.Image, shown: str) -> None:
    """A thumbnail is transparent where the picture is, and opaque where it has no transparency."""
    assert look(encoded(picture, "PNG"))[1].mode == shown


def test_sixteen_bits_are_scaled() -> None:
    """A picture of sixteen bits keeps its shades in its thumbnail."""
    shades = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    _, small = look(encoded(Image.fromarray(shades), "PNG"))
    shown = np.asarray(small.convert("L"), float)
    assert np.abs(shown - shades / 257).mean() < 6


def bomb() -> bytes:
    """A PNG of a few kilobytes that claims 20,000 pixels on each side."""
    data = encoded(Image.new("1", (8, 8)), "PNG")
    header, *rest = read_chunks(data)
    huge = Chunk(b"IHDR", (20_000).to_bytes(4) * 2 + header.body[8:])
    pixels = Chunk(b"IDAT", zlib.compress(bytes(2501) * 20_000))
    return data[:8] + huge.packed() + pixels.packed() + rest[-1].packed()


BAD = {
    "empty": b"",
    "text": b"<html>not a picture</html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "cut": encoded(gradient(), "PNG")[:-40],
    "cut jpeg": encoded(gradient(600, 400), "JPEG")[:900],
    "header only": encoded(gradient(), "PNG")[:33],
    "flipped": encoded(gradient(), "PNG").replace(b"IDAT", b"IDAU"),
    "bomb": bomb(),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_bad_picture_is_refused(data: bytes) -> None:
    """Bytes that are no whole picture, or too big a one, are refused by one error with a sentence."""
    for tool in (look, lambda d: pictures.to_png(d, text={}, xmp=XMP)):
        with pytest.raises(BadPicture, match=r"^The .*\.$") as caught:
            tool(data)
        assert caught.value.code == "bad_media"


def test_a_film_is_measured_by_its_first_frame(tmp_path: Path) -> None:
    """A film's size, length and type come from decoding it."""
    seen, _ = look(film(tmp_path / "a.mp4"), "video/mp4")
    assert (seen.width, seen.height, seen.content_type, seen.duration) == (64, 48, "video/mp4", 1.2)


FILMS = {name: sample for name, sample in SAMPLES.items() if sample.answer in (MP4, MOV, WEBM, VARIABLE)}


def facts(file: Path, *, closely: bool) -> object:
    """Return what a film is: as its header says, or as a decoder says that looked into every stream."""
    with films.opened(file, closely=closely) as (container, stream):
        said = films.said_seconds(container, stream), container.start_time, stream.average_rate
        frame = films.first_frame(container, stream)
        return *said, films.film_type(container), frame.rotation, films.square_size(frame, stream)


@pytest.mark.parametrize("sample", FILMS.values(), ids=FILMS)
def test_a_header_says_what_a_decoder_says(tmp_path: Path, sample: Sample) -> None:
    """Length, rate, type, rotation and sides of a film that is only opened are those of a closer look."""
    (tmp_path / "film").write_bytes(sample.make())
    quick = facts(tmp_path / "film", closely=False)
    assert quick == facts(tmp_path / "film", closely=True)


def test_opening_a_film_decodes_nothing(tmp_path: Path) -> None:
    """A film is opened by its header alone: no decoder has told how its pixels are laid out."""
    film(tmp_path / "a.mp4")
    with films.opened(tmp_path / "a.mp4") as (container, stream):
        assert (stream.width, stream.height, stream.codec_context.pix_fmt) == (64, 48, None)
        assert films.first_frame(container, stream).format.name == "yuv420p"


def with_sides(data: bytes, width: int, height: int) -> bytes:
    """Return an HEVC film whose header says these sides."""
    sides = data.index(b"hev1", data.index(b"stsd")) + 28
    return data[:sides] + width.to_bytes(2) + height.to_bytes(2) + data[sides + 4 :]


def test_a_header_without_sides_is_looked_behind(tmp_path: Path) -> None:
    """Where the header does not say how large a film is, its frames do."""
    (tmp_path / "film").write_bytes(with_sides(corpus.film("libx265"), 0, 0))
    with films.opened(tmp_path / "film") as (_, stream):
        assert (stream.width, stream.height) == (corpus.WIDTH, corpus.HEIGHT)


def test_a_header_that_lies_hides_no_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A film whose frames are larger than its header says is refused by its frames."""
    (tmp_path / "film").write_bytes(with_sides(corpus.film("libx265"), 16, 16))
    monkeypatch.setattr(films, "MAX_PIXELS", corpus.WIDTH * corpus.HEIGHT - 1)
    with films.opened(tmp_path / "film") as (container, stream):
        assert stream.width == 16
        with pytest.raises(BadPicture, match="room"):
            films.first_frame(container, stream)


def test_pixels_that_only_the_frames_call_oblong_are_made_square(tmp_path: Path) -> None:
    """The shape of a pixel is taken from the stream where the container does not say it."""
    film(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(tmp_path / "b.mp4"), "w") as out:
        copy = out.add_stream_from_template(source.streams.video[0])
        shape = BitStreamFilterContext("h264_metadata=sample_aspect_ratio=2/1", source.streams.video[0], copy)
        for packet in source.demux(video=0):
            for shaped in shape.filter(packet if packet.dts is not None else None):
                shaped.stream = copy
                out.mux(shaped)
    data = (tmp_path / "b.mp4").read_bytes()
    assert b"pasp" not in data
    assert size(data, "video/mp4") == (128, 48)


@pytest.mark.parametrize(
    ("kind", "codec", "content_type"),
    [
        ("mov", "libx264", "video/quicktime"),
        ("webm", "libvpx-vp9", "video/webm"),
        ("matroska", "libx264", "video/x-matroska"),
    ],
)
def test_a_film_tells_its_container(tmp_path: Path, kind: str, codec: str, content_type: str) -> None:
    """The type of a film is that of its content, and what is not MP4 is not stamped as one."""
    data = film(tmp_path / "film", kind=kind, codec=codec, options={})
    assert look(data, content_type)[0].content_type == content_type
    with pytest.raises(BadPicture, match="not an MP4"):
        pictures.stamp_mp4(data, text=TEXT, xmp=XMP)


def test_a_poster_is_the_first_frame(tmp_path: Path) -> None:
    """A poster is a WebP of the first frame."""
    _, poster = look(film(tmp_path / "a.mp4"), "video/mp4")
    assert (poster.format, poster.size) == ("WEBP", (64, 48))
    shown = np.asarray(poster.convert("RGB"), float)
    assert np.abs(shown - np.asarray(gradient(64, 48), float)).mean() < 12


LAYOUTS = {
    "index first": {"movflags": "+faststart"},
    "index last": {},
    "fragmented": {"movflags": "frag_keyframe+empty_moov"},
}


@pytest.mark.parametrize("options", LAYOUTS.values(), ids=LAYOUTS)
def test_a_stamped_film_plays_the_same(tmp_path: Path, options: dict[str, str]) -> None:
    """A stamped film decodes to the very same frames, keeps the order of its boxes, and ends with XMP."""
    before = film(tmp_path / "a.mp4", options=options)
    after = pictures.stamp_mp4(before, text=TEXT, xmp=XMP)
    assert frames(after) == frames(before)
    boxes = list(read_boxes(after, 0, len(after)))
    assert [box.kind for box in boxes[:-1]] == [box.kind for box in read_boxes(before, 0, len(before))]
    assert (boxes[-1].kind, content(after, boxes[-1])[:16]) == (b"uuid", XMP_BOX)
    assert source_type(content(after, boxes[-1])[16:]) == SOURCE


def test_a_stamped_film_carries_its_text(tmp_path: Path) -> None:
    """Players find the prompt as title and everything as a comment, in any script."""
    with av.open(
        io.BytesIO(pictures.stamp_mp4(film(tmp_path / "a.mp4"), text=TEXT, xmp=XMP)), "r"
    ) as stamped:
        assert stamped.metadata["title"] == TEXT["prompt"]
        assert json.loads(stamped.metadata["comment"]) == TEXT
        assert stamped.metadata["encoder"] == "Media Pipeline"


def test_stamping_twice_is_stamping_once(tmp_path: Path) -> None:
    """A second stamp replaces the first and moves nothing wrongly."""
    once = pictures.stamp_mp4(film(tmp_path / "a.mp4"), text=TEXT, xmp=XMP)
    assert pictures.stamp_mp4(once, text=TEXT, xmp=XMP) == once
    other = pictures.stamp_mp4(once, text={"prompt": "short"}, xmp=XMP)
    assert frames(other) == frames(once)


def test_a_bad_film_is_refused(tmp_path: Path) -> None:
    """Bytes that are no film, are cut off or only point at another file are refused."""
    data = film(tmp_path / "a.mp4")
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    sound_only = data.replace(b"vide", b"soun")
    for bad in (
        b"",
        b"no film",
        playlist,
        data[: len(data) // 3],
        data[:40],
        sound_only,
        b"ffconcat version 1.0",
    ):
        for tool in (
            lambda d: look(d, "video/mp4"),
            lambda d: pictures.stamp_mp4(d, text={}, xmp=XMP),
        ):
            with pytest.raises(BadPicture):
                tool(bad)


def content(data: bytes, box: Box) -> bytes:
    return data[box.body : box.end]


def test_an_encoder_that_refuses_is_not_blamed_on_the_film(tmp_path: Path) -> None:
    """What cannot be encoded so is told as such; a film cut off is still damaged."""
    file = tmp_path / "a.mp4"
    data = film(file)
    with pytest.raises(BadPicture, match="The film is well, but the encoder of hevc failed"):
        list(edit_film(file, tmp_path, Transcode(codec="hevc", height=8)))
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(BadPicture, match="damaged or cut off"):
        list(edit_film(file, tmp_path, Transcode(codec="hevc")))
