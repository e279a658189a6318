"""What a thumbnail, a poster and a probe cost, beside a naive Pillow resize, libvips and an FFmpeg process.

All in one run on files made here: a photograph of 12 megapixels as JPEG, one of 48 as PNG, a minute of film.
Ours goes through the workshop as the service uses it (a warm child process, files on disk), but for the
probe, which no caller asks for alone: it runs here. The peers run in this process, FFmpeg in its own, as is
usual, and all as patient as our children are. Every round asks each way once, so that what else the machine
does falls on all alike; a ratio is the median of the rounds'. A PNG must be inflated whole before a pixel of
it is known, so that alone is the floor under every way; it and Pillow's decode (which also undoes the
filters) are rows of their own. Ours stands there with the extra `vips` and without. Run it with
`python -m bench.media`; FFmpeg comes with the group `bench`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from PIL import Image, ImageOps

from media_pipeline.media.marks import read_chunks
from media_pipeline.media.workshop.films import opened, said_seconds
from media_pipeline.media.workshop.orders import Thumbnail
from media_pipeline.media.workshop.workshop import Workshop

SIDE = 512
AGAINST_NAIVE = 4.0
AGAINST_PROBE = 10.0
_PIECE = 64 * 1024
_PATIENT = ThreadPoolExecutor(1, initializer=os.nice, initargs=(5,))
"""One thread, as nice as our children; a program that it starts is that too."""
Timed = Callable[[], Awaitable[object]]


def photograph(width: int, height: int) -> Image.Image:
    """Return something as rich as a photograph: clouds of every size, and grain."""
    rng = np.random.default_rng(7)
    picture = np.zeros((height, width, 3), np.float32)
    for size in (4, 16, 64, 256):
        rough = Image.fromarray(rng.integers(0, 255, (size * 3 // 4, size, 3), np.uint8))
        picture += np.asarray(rough.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 4
    picture += rng.integers(-3, 4, (height, width, 1), np.int8)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def film(path: Path, seconds: int) -> None:
    """Write 1080p of a picture that moves."""
    whole = np.asarray(photograph(2048, 1536))
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        parts = [np.ascontiguousarray(whole[at : at + 1080, at : at + 1920]) for at in range(0, 120, 8)]
        moving = [av.VideoFrame.from_ndarray(part, format="rgb24") for part in parts]
        shots = [frame.reformat(format="yuv420p") for frame in moving]
        for index in range(seconds * 30):
            shot = shots[index % len(shots)]
            shot.pts = index
            container.mux(stream.encode(shot))
        container.mux(stream.encode(None))


def in_thread(call: Callable[[], object]) -> Timed:
    async def ask() -> None:
        await asyncio.get_running_loop().run_in_executor(_PATIENT, call)

    return ask


def naive(file: Path, out: Path) -> None:
    with Image.open(file) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
        share = SIDE / max(upright.size)
        size = round(upright.width * share), round(upright.height * share)
        upright.resize(size, Image.Resampling.LANCZOS).save(out, "WEBP", quality=78, method=2)


def inflate(packed: bytes) -> None:
    """Inflate and forget: what no reader of a PNG can leave out."""
    stream = zlib.decompressobj()
    for place in range(0, len(packed), _PIECE):
        stream.decompress(packed[place : place + _PIECE])


def decode(file: Path) -> None:
    with Image.open(file) as picture:
        picture.load()


def vips(file: Path, out: Path) -> None:
    library = importlib.import_module("pyvips")
    library.operation_block_set("VipsForeign", state=False)  # shut by ours wherever pictures are opened
    library.Image.thumbnail(str(file), SIDE, height=SIDE).webpsave(str(out), Q=78, effort=2, keep="none")


def find_ffmpeg() -> str:
    return shutil.which("ffmpeg") or str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())


def run_probe(file: Path) -> None:
    """Read what a film is; where there is no `ffprobe`, `ffmpeg` without an output says the same."""
    probe = shutil.which("ffprobe")
    command = [probe, "-v", "error", "-show_streams", "-show_format"] if probe else [find_ffmpeg(), "-i"]
    told = subprocess.run([*command, str(file)], check=False, capture_output=True)
    assert b"1080" in told.stdout + told.stderr


def run_poster(file: Path, out: Path) -> None:
    command = [
        find_ffmpeg(),
        "-v",
        "error",
        "-y",
        "-i",
        str(file),
        "-frames:v",
        "1",
        "-vf",
        f"scale={SIDE}:-2",
    ]
    subprocess.run([*command, str(out)], check=True, capture_output=True)


def probe(file: Path) -> None:
    with opened(file) as (container, stream):
        assert (stream.width, stream.height, round(said_seconds(container, stream) or 0)) != (0, 0, 0)


class Bench:
    """The files, the workshop, and the clock."""

    def __init__(self, folder: Path, workshop: Workshop, *, rounds: int) -> None:
        self.folder = folder
        self.workshop = workshop
        self.plain = Workshop(processes=1)
        """One whose child does not find the extra `vips`, once `hide_vips` has begun it."""
        self._rounds = rounds
        self._taken: dict[tuple[str, str], list[float]] = {}

    async def time(self, what: str, ways: Mapping[str, Timed]) -> None:
        """Time each way in each round, in milliseconds, after one round that does not count."""
        for call in ways.values():
            await call()
        for who in list(ways) * self._rounds:
            began = time.perf_counter()
            await ways[who]()
            self._taken.setdefault((what, who), []).append((time.perf_counter() - began) * 1000)
        for who in ways:
            print(f"{what:<34} {who:<40} {statistics.median(self._taken[what, who]):>9.1f} ms", flush=True)

    async def make(self, file: Path, content_type: str, workshop: Workshop | None = None) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            steps = (workshop or self.workshop).make(file, Path(folder), content_type, Thumbnail(size=SIDE))
            async with aclosing(steps) as messages:
                assert [message async for message in messages]

    async def hide_vips(self) -> None:
        """Begin the plain workshop's child where an empty module stands before pyvips."""
        (self.folder / "pyvips.py").write_text("raise ImportError")
        file, before = self.folder / "first.png", os.environ.get("PYTHONPATH")
        Image.new("RGB", (8, 8)).save(file)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(self.folder), before)))
        await self.make(file, "image/png", self.plain)
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)

    async def examine(self, file: Path, content_type: str) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            await self.workshop.examine(file, Path(folder), content_type)

    def ratio(self, what: str, ours: str, theirs: str) -> float:
        """Return how many times as long theirs takes, in the median round."""
        rounds = zip(self._taken[what, theirs], self._taken[what, ours], strict=True)
        return statistics.median(theirs / ours for theirs, ours in rounds)

    def judge(self, what: str, ours: str, theirs: str, target: float) -> None:
        """Print whether ours is so many times faster."""
        ratio = self.ratio(what, ours, theirs)
        word = "reached" if ratio >= target else "not reached"
        print(f"{word}: {what}, {ratio:.1f} times {theirs} (target {target:g})")


async def run(*, rounds: int, seconds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        workshop = Workshop(processes=1)
        bench = Bench(Path(name), workshop, rounds=rounds)
        await bench.hide_vips()
        stills = {"12 MP JPEG, thumbnail": "image/jpeg", "48 MP PNG, thumbnail": "image/png"}
        for (what, content_type), size in zip(stills.items(), ((4000, 3000), (8000, 6000)), strict=True):
            await time_still(bench, what, content_type, size)
        await time_film(bench, seconds)
        await workshop.aclose()
        await bench.plain.aclose()
        for what in stills:
            bench.judge(what, "ours, in a child", "naive Pillow resize", AGAINST_NAIVE)
        png = "48 MP PNG, thumbnail"
        most = bench.ratio(png, "floor: inflate alone (zlib)", "naive Pillow resize")
        print(f"{png}: nothing that inflates by zlib is more than {most:.1f} times naive Pillow resize")
        bench.judge(png, "ours, with the extra vips", "ours, in a child", 1.2)
        bench.judge("1080p, probe", "ours, warm process", "FFmpeg process", AGAINST_PROBE)
        bench.judge("1080p, poster", "ours, in a child", "FFmpeg process", 1.0)


async def time_still(bench: Bench, what: str, content_type: str, size: tuple[int, int]) -> None:
    file, out = bench.folder / "picture", bench.folder / "out.webp"
    photograph(*size).save(file, content_type.partition("/")[2], quality=90, compress_level=1)
    ways = {
        "naive Pillow resize": in_thread(lambda: naive(file, out)),
        "pyvips thumbnail": in_thread(lambda: vips(file, out)),
        "ours, in a child": lambda: bench.make(file, content_type, bench.plain),
        "ours, with the extra vips": lambda: bench.make(file, content_type),
        "ours, whole ladder and ThumbHash": lambda: bench.examine(file, content_type),
    }
    if content_type == "image/png":
        packed = b"".join(each.body for each in read_chunks(file.read_bytes()) if each.kind == b"IDAT")
        ways["floor: inflate alone (zlib)"] = in_thread(lambda: inflate(packed))
        ways["floor: decode alone (Pillow)"] = in_thread(lambda: decode(file))
    await bench.time(what, ways)


async def time_film(bench: Bench, seconds: int) -> None:
    file, out = bench.folder / "film.mp4", bench.folder / "poster.webp"
    film(file, seconds)
    probes = {
        "FFmpeg process": in_thread(lambda: run_probe(file)),
        "ours, warm process": in_thread(lambda: probe(file)),
    }
    posters = {
        "FFmpeg process": in_thread(lambda: run_poster(file, out)),
        "ours, in a child": lambda: bench.make(file, "video/mp4"),
        "ours, whole examination": lambda: bench.examine(file, "video/mp4"),
    }
    await bench.time("1080p, probe", probes)
    await bench.time("1080p, poster", posters)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    asyncio.run(run(rounds=given.rounds, seconds=given.seconds))
