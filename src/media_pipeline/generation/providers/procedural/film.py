"""A film of a painting: one closed circle of moments, as H.264 in MP4."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final

import av
import numpy as np

from media_pipeline.generation.providers.procedural.canvas import SOFTWARE, Painting, finished, to_bytes
from media_pipeline.generation.providers.procedural.noise import Planes

_PAINTED: Final = 384 * 384
"""Pixels painted of a frame; larger frames are enlarged, at most twice, since the fields are smooth."""
_CODEC: Final = {"crf": "19", "preset": "veryfast", "profile": "high"}


class Film:
    """A film being encoded; iterate `frames`, then read `data`."""

    def __init__(self, *, width: int, height: int, count: int, fps: int) -> None:
        self._size, self._count, self._fps = (width, height), count, fps
        self.data = b""

    def frames(
        self, make: Callable[[int, int], Painting], rng: np.random.Generator
    ) -> Generator[Planes, None, None]:
        """Paint and encode every frame, giving each back once it is encoded; the last joins the first.

        `make` gets the size to paint in. The muxer moves the index to the front by opening its file a
        second time, so it works on a real file.
        """
        with tempfile.TemporaryDirectory(prefix="media-pipeline-") as folder:
            path = Path(folder) / "film.mp4"
            yield from self._encode(path, make(*self._painted_size()), rng)
            self.data = path.read_bytes()

    def _painted_size(self) -> tuple[int, int]:
        width, height = self._size
        share = max(0.5, min(1.0, math.sqrt(_PAINTED / (width * height))))
        return round(width * share), round(height * share)

    def _encode(self, path: Path, painting: Painting, rng: np.random.Generator) -> Iterator[Planes]:
        grain_seed = rng.integers(2**32)
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            container.metadata["encoder"] = SOFTWARE
            stream = container.add_stream("libx264", rate=self._fps, options=_CODEC)
            stream.width, stream.height = self._size
            stream.pix_fmt = "yuv420p"
            stream.thread_count = 1  # more threads are faster, but the bytes would depend on their number
            for index in range(self._count):
                painting.moment(index / self._count)
                canvas = finished(painting.canvas, np.random.default_rng(grain_seed))
                container.mux(stream.encode(self._frame(canvas, index)))
                yield canvas
            container.mux(stream.encode())

    def _frame(self, canvas: Planes, index: int) -> av.VideoFrame:
        width, height = self._size
        painted = av.VideoFrame.from_ndarray(to_bytes(canvas), format="rgb24")
        frame = painted.reformat(width, height, "yuv420p", interpolation="BICUBIC")
        frame.pts = index
        return frame
