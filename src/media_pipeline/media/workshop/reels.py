"""What can be made of a film: a poster, another codec, a part of it, the same without metadata."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final, assert_never

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from media_pipeline.media.workshop.encoder import Plan, Writer
from media_pipeline.media.workshop.films import film_type, first_frame, opened, said_seconds, upright
from media_pipeline.media.workshop.orders import Made, Poster, Step, Strip, Thumbnail, Transcode, Trim
from media_pipeline.media.workshop.refusal import BadPicture
from media_pipeline.media.workshop.stills import save_webp

FilmOperation = Poster | Thumbnail | Transcode | Trim | Strip
Steps = Generator[Step | Made, None, None]
_THREADS: Final = 2
_FRAMES_A_STEP: Final = 5


def edit_film(file: Path, folder: Path, operation: FilmOperation) -> Steps:
    """Do `operation`, telling frames as they are finished; ends with `Made`."""
    closely = not isinstance(operation, Poster | Thumbnail)
    with opened(file, closely=closely) as (container, stream):
        match operation:
            case Poster(at=at):
                yield _poster(container, stream, folder, at)
            case Thumbnail(size=size):
                picture = upright(first_frame(container, stream), stream)
                picture.thumbnail((size, size), reducing_gap=2.0)
                save_webp(picture, folder / "made.webp")
                yield Made(name="made.webp", content_type="image/webp")
            case Transcode():
                yield from _encode(container, stream, folder, Plan.of(operation))
            case Trim(start=start, end=end):
                yield from _encode(container, stream, folder, Plan("h264", start=start, end=end))
            case Strip():
                yield from _remux(container, stream, folder)
            case _:
                assert_never(operation)


def _poster(container: InputContainer, stream: VideoStream, folder: Path, at: float) -> Made:
    begin = (container.start_time or 0) / av.time_base
    container.seek(int((begin + at) * av.time_base), backward=True)
    shown = None
    for frame in container.decode(stream):
        if shown is not None and (frame.time or 0.0) > begin + at:
            break
        shown = frame
    if shown is None:
        raise BadPicture("The film has no frame at that second.")
    upright(shown, stream).save(folder / "made.jpeg", "JPEG", quality=90)
    return Made(name="made.jpeg", content_type="image/jpeg")


def _encode(container: InputContainer, stream: VideoStream, folder: Path, plan: Plan) -> Steps:
    stream.thread_type, stream.codec_context.thread_count = "AUTO", _THREADS
    name = f"made.{plan.kind}"
    total = _frames(container, stream, plan)
    begin = (container.start_time or 0) / av.time_base
    first = first_frame(container, stream)
    container.seek(int((begin + plan.start) * av.time_base), backward=True)
    sound = next(iter(container.streams.audio), None)
    options = {"movflags": "+faststart"} if plan.kind == "mp4" else {}
    with av.open(str(folder / name), "w", format=plan.kind, options=options) as out:
        writer = Writer(out, stream, sound, plan, first=first, begin=begin)
        done = 0
        for packet in container.demux([each for each in (stream, sound) if each is not None]):
            for frame in packet.decode():
                if isinstance(frame, av.AudioFrame):
                    writer.hear(frame)
                elif isinstance(frame, av.VideoFrame) and writer.see(frame):
                    done += 1
                    if done % _FRAMES_A_STEP == 0:
                        yield Step(done=done, total=total)
            if writer.over:
                break
        writer.close()
    if not done:
        raise BadPicture("The film has no frames in that part.")
    yield Step(done=done, total=done)
    yield Made(name=name, content_type=f"video/{plan.kind}")


def _frames(container: InputContainer, stream: VideoStream, plan: Plan) -> int | None:
    """Return how many frames will come, as the file says; None where it does not."""
    seconds = said_seconds(container, stream)
    guessed = round(seconds * float(stream.average_rate)) if seconds and stream.average_rate else 0
    count = stream.frames or guessed
    if not count:
        return None
    if plan.end is None or not seconds:
        return count
    return max(1, round(count * (min(plan.end, seconds) - plan.start) / seconds))


def _remux(container: InputContainer, stream: VideoStream, folder: Path) -> Steps:
    """Copy pictures and sound as they are; a film's text, place and dates stay behind."""
    kind = {"video/webm": "webm", "video/quicktime": "mov"}.get(film_type(container), "mp4")
    options = {"movflags": "+faststart"} if kind != "webm" else {}
    sources: list[VideoStream | AudioStream] = [stream, *container.streams.audio]
    total = stream.frames or None
    with av.open(str(folder / f"made.{kind}"), "w", format=kind, options=options) as out:
        copies = {source.index: out.add_stream_from_template(source) for source in sources}
        for copy in copies.values():
            copy.metadata.clear()
        done = 0
        for packet in _packets(container, sources):
            if packet.stream_index == stream.index:
                done += 1
                if done % (10 * _FRAMES_A_STEP) == 0:
                    yield Step(done=done, total=total)
            packet.stream = copies[packet.stream_index]
            out.mux(packet)
    yield Step(done=done, total=done)
    yield Made(name=f"made.{kind}", content_type=f"video/{'quicktime' if kind == 'mov' else kind}")


def _packets(container: InputContainer, streams: list[VideoStream | AudioStream]) -> Iterator[av.Packet[Any]]:
    return (packet for packet in container.demux(streams) if packet.dts is not None)
