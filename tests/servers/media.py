"""Pictures and films as a provider's model would give them, and a shelf of files on an origin of its own."""

from __future__ import annotations

import functools
import io
import random

import av
import numpy as np
from PIL import Image

from tests.servers.web import Answer, Request, Web


@functools.cache
def still(seed: int, width: int, height: int, kind: str = "PNG") -> bytes:
    """Return a picture that depends on `seed` alone."""
    chance = random.Random(seed)
    small = Image.frombytes("RGB", (4, 4), chance.randbytes(48))
    out = io.BytesIO()
    small.resize((width, height), Image.Resampling.NEAREST).save(out, kind)
    return out.getvalue()


@functools.cache
def film(seed: int, width: int, height: int, *, frames: int = 3) -> bytes:
    """Return a short H.264 film in MP4 that depends on `seed` alone."""
    out = io.BytesIO()
    tone = random.Random(seed).randbytes(3)
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        picture = np.full((height, width, 3), tuple(tone), dtype=np.uint8)
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return out.getvalue()


class Shelf(Web):
    """Where a provider's files lie: another origin, which must never see the provider's key.

    Faults strike at the place `file`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._files: dict[str, tuple[bytes, str]] = {}

    def put(self, name: str, data: bytes, content_type: str) -> str:
        """Keep a file and return its URL."""
        self._files[f"/{name}"] = (data, content_type)
        return f"{self.url}/{name}"

    def clear(self) -> None:
        """Delete everything, as providers do after an hour."""
        self._files.clear()

    def place(self, request: Request) -> str:
        return "file"

    def answer(self, request: Request) -> Answer:
        if "authorization" in request.headers:
            return Answer(400, b"a key was sent to the wrong origin")
        if request.path not in self._files:
            return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", {"content-type": "application/xml"})
        data, content_type = self._files[request.path]
        return Answer(200, data, {"content-type": content_type})
