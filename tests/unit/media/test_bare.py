"""A picture whose metadata is left out keeps its own data, and keeps nothing else."""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from media_pipeline.media.marks import Malformed
from media_pipeline.media.workshop.bare import BARE
from media_pipeline.media.workshop.edits import edit_still
from media_pipeline.media.workshop.orders import Made, Strip
from media_pipeline.media.workshop.refusal import BadPicture
from tests.corpus import SECRET, animated, exif, sixteen_bits, still, turned, upright
from tests.integration.test_api_ingest import check_upright

PROFILE: Final = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP: Final = b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
TALK: Final[dict[str, Any]] = {"exif": exif(), "xmp": XMP, "icc_profile": PROFILE}
TYPES: Final = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


def png_with_all() -> bytes:
    """Return a PNG with every chunk that Pillow writes of what people say."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", SECRET.decode())
    info.add_text("Comment", SECRET.decode(), zip=True)
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add(b"tIME", b"\x07\xe8\1\1\1\1\1")
    info.add(b"prVt", SECRET)
    return still("PNG", pnginfo=info, exif=exif(), icc_profile=PROFILE, dpi=(300, 300), gamma=0.45)


def jpeg_in_restarts(**options: Any) -> bytes:
    """Return a noisy JPEG, whose scans have restart markers and stuffed bytes."""
    noise = np.random.default_rng(7).integers(0, 256, (256, 64, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "JPEG", quality=95, restart_marker_rows=1, **options)
    data = out.getvalue()
    assert data.count(b"\xff\xd0") > 1
    assert b"\xff\0" in data
    return data


def filled(data: bytes) -> bytes:
    """Return a JPEG with fill bytes before its markers, as T.81 B.1.1.2 allows."""
    place = data.index(b"\xff\xdb")
    return data[:place] + b"\xff\xff" + data[place:]


def later_words(data: bytes) -> bytes:
    """Return a JPEG of several scans with a comment between them."""
    place = data.rindex(b"\xff\xda")
    return data[:place] + b"\xff\xfe" + struct.pack(">H", 2 + len(SECRET)) + SECRET + data[place:]


def transparent(kind: str, **options: Any) -> bytes:
    picture = upright()
    picture.putalpha(128)
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


Make = Callable[[], bytes]
PICTURES: Final[dict[str, tuple[str, Make]]] = {
    "jpeg": ("JPEG", functools.partial(still, "JPEG", comment=SECRET, dpi=(72, 72), **TALK)),
    "jpeg turned": ("JPEG", functools.partial(turned, 6)),
    "jpeg, progressive": ("JPEG", functools.partial(still, "JPEG", progressive=True, **TALK)),
    "jpeg, words between scans": ("JPEG", lambda: later_words(still("JPEG", progressive=True))),
    "jpeg, restarts": ("JPEG", functools.partial(jpeg_in_restarts, **TALK)),
    "jpeg, grey": ("JPEG", functools.partial(still, "JPEG", mode="L", exif=exif())),
    "jpeg, four inks": ("JPEG", functools.partial(still, "JPEG", mode="CMYK", exif=exif())),
    "jpeg, fill bytes": ("JPEG", lambda: filled(turned(1))),
    "jpeg, bytes behind": ("JPEG", lambda: turned(1) + SECRET + turned(3)),
    "png": ("PNG", png_with_all),
    "png turned": ("PNG", functools.partial(turned, 8, "PNG")),
    "png of 16 bits": ("PNG", sixteen_bits),
    "png, palette with a hole": ("PNG", functools.partial(still, "PNG", mode="P", transparency=0)),
    "png, grey with transparency": ("PNG", functools.partial(still, "PNG", mode="LA", exif=exif())),
    "png, moving": ("PNG", functools.partial(animated, "PNG")),
    "png, bytes behind": ("PNG", lambda: turned(1, "PNG") + SECRET),
    "webp": ("WEBP", functools.partial(still, "WEBP", **TALK)),
    "webp turned": ("WEBP", functools.partial(turned, 5, "WEBP")),
    "webp without loss": ("WEBP", functools.partial(still, "WEBP", lossless=True, **TALK)),
    "webp, nothing said": ("WEBP", functools.partial(still, "WEBP")),
    "webp, transparent": ("WEBP", functools.partial(transparent, "WEBP", **TALK)),
    "webp, moving": ("WEBP", functools.partial(animated, "WEBP")),
    "webp, bytes behind": ("WEBP", lambda: turned(1, "WEBP") + SECRET),
}
KEPT: Final = ("icc_profile", "gamma", "transparency", "duration", "loop", "adobe_transform")


def seen(data: bytes) -> list[object]:
    """Return all that a reader is shown: each frame bit for bit, how it is held, its colours and its time."""
    with Image.open(io.BytesIO(data)) as picture:
        held = picture.getexif().get(0x0112, 1)
        frames: list[object] = []
        for index in range(getattr(picture, "n_frames", 1)):
            picture.seek(index)
            picture.load()
            kept = {key: picture.info.get(key) for key in KEPT}
            frames.append((picture.mode, picture.size, picture.tobytes(), picture.getpalette(), kept))
    return [held, frames]


def bared(kind: str, data: bytes, held: int) -> bytes:
    return b"".join(BARE[TYPES[kind]](data, held))


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_looks_the_same_and_says_nothing(name: str) -> None:
    """Pixels, colours, turn and times are as they were; words, places, previews and tails are gone."""
    kind, make = PICTURES[name]
    data = make()
    before = seen(data)
    held = before[0]
    assert isinstance(held, int)
    bare = bared(kind, data, held)
    assert seen(bare) == before
    assert SECRET not in bare
    assert len(bare) <= len(data)
    with Image.open(io.BytesIO(bare)) as picture:
        assert set(picture.getexif()) <= {0x0112}
        assert not {"xmp", "comment", "Author", "Comment", "mp"} & picture.info.keys()
    assert bared(kind, bare, held) == bare


def test_a_preview_within_a_jpeg_goes() -> None:
    """JFIF may carry a thumbnail of its own; it may show what was cut away."""
    plain = still("JPEG")
    place = plain.index(b"JFIF\0") - 2
    length = struct.unpack_from(">H", plain, place)[0]
    preview = b"\1\1" + SECRET[:3]
    body = plain[place + 2 : place + 14] + preview
    data = plain[:place] + struct.pack(">H", 2 + len(body)) + body + plain[place + length :]
    assert seen(data) == seen(plain)
    assert bared("JPEG", data, 1) == plain


@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_picture_is_refused_or_taken(kind: str, data: st.DataObject) -> None:
    """Whatever stands in a file, it is read to an end, and nothing but `Malformed` is raised."""
    good = bytearray(turned(6, kind))
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=8)
    ):
        good[place] = value
    cut = data.draw(st.integers(0, len(good)))
    with suppress(Malformed):
        bared(kind, bytes(good[:cut]), 6)


@pytest.mark.parametrize("kind", TYPES)
def test_every_cut_is_noticed(kind: str) -> None:
    """A file without its end is not told to be whole."""
    good = turned(6, kind)
    for end in range(len(good) - 1):
        with pytest.raises(Malformed):
            bared(kind, good[:end], 6)


def strip(data: bytes, folder: Path, content_type: str) -> bytes:
    file = folder / "file"
    file.write_bytes(data)
    *_, made = edit_still(file, folder, content_type, Strip())
    assert isinstance(made, Made)
    assert made.content_type == content_type
    return (folder / made.name).read_bytes()


def test_a_turn_that_is_none_is_left_out(tmp_path: Path) -> None:
    """What Exif has no meaning for says nothing."""
    tags = exif(77)
    bare = strip(still("JPEG", exif=tags), tmp_path, "image/jpeg")
    with Image.open(io.BytesIO(bare)) as picture:
        assert not picture.getexif()


def test_what_only_a_decoder_understands_is_encoded_anew(tmp_path: Path) -> None:
    """A JPEG with stray bytes between its scans can be shown; it is stripped all the same."""
    data = turned(6, progressive=True)
    place = data.rindex(b"\xff\xda")
    stray = data[:place] + b"stray" + data[place:]
    with pytest.raises(Malformed):
        bared("JPEG", stray, 6)
    made = strip(stray, tmp_path, "image/jpeg")
    assert SECRET not in made
    check_upright(made, grey=False)


def test_what_nobody_can_read_is_refused(tmp_path: Path) -> None:
    """Neither way makes something of half a picture."""
    with pytest.raises((BadPicture, OSError)):
        strip(turned(1)[:-300], tmp_path, "image/jpeg")
