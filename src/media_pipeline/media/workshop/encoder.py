"""Encoding a film anew: which codecs, and frame after frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.video.frame import PictureType
from av.video.stream import VideoStream

from media_pipeline.media.workshop.films import square_size
from media_pipeline.media.workshop.orders import Codec, Transcode
from media_pipeline.media.workshop.refusal import BadPicture, encoding

_ENCODERS: Final[dict[Codec, tuple[str, dict[str, str]]]] = {
    "h264": ("libx264", {"preset": "veryfast", "crf": "21"}),
    "hevc": ("libx265", {"preset": "veryfast", "crf": "24", "x265-params": "log-level=error"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "6", "crf": "32"}),
    "av1": ("libsvtav1", {"preset": "8", "crf": "34", "svtav1-params": "lp=2"}),
}
_AV1_SIDE: Final = 64
"""The encoder holds no bitrate in smaller films."""
_TURNS: Final = {90: "transpose=cclock", 180: "hflip,vflip", 270: "transpose=clock"}
"""How a frame is turned upright, by its rotation against the clock."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a film is encoded anew; seconds from its own beginning."""

    codec: Codec
    height: int | None = None
    bitrate: int | None = None
    start: float = 0.0
    end: float | None = None

    @classmethod
    def of(cls, operation: Transcode) -> Plan:
        return cls(operation.codec, height=operation.height, bitrate=operation.bitrate)

    @property
    def kind(self) -> str:
        return "webm" if self.codec == "vp9" else "mp4"


class Writer:
    """Write frames and sound of the planned seconds, upright and with square pixels."""

    def __init__(
        self,
        out: OutputContainer,
        stream: VideoStream,
        sound: AudioStream | None,
        plan: Plan,
        *,
        first: av.VideoFrame,
        begin: float,
    ) -> None:
        self._out, self._source, self._plan = out, stream, plan
        self._first = begin + plan.start
        self._last = float("inf") if plan.end is None else begin + plan.end
        encoder, options = _ENCODERS[plan.codec]
        if plan.bitrate is not None:  # which a constant quality would contradict
            options = {name: value for name, value in options.items() if name != "crf"}
        video = out.add_stream(encoder, rate=stream.average_rate or 30, options=options)
        assert isinstance(video, VideoStream)  # noqa: S101 - every encoder of the table makes pictures
        self._video = video
        self._video.pix_fmt = "yuv420p"
        if stream.time_base is not None:
            self._video.time_base = self._video.codec_context.time_base = stream.time_base
        if plan.bitrate is not None:
            self._video.bit_rate = plan.bitrate
        self._graph = self._build(first)  # now, for sound that is written first opens the encoders
        self._sound: AudioStream | None = None
        if sound is not None:
            rate = 48000 if plan.kind == "webm" else sound.rate
            self._sound = _add_sound(out, plan, rate)
            self._sound.codec_context.layout = "stereo" if sound.layout.nb_channels > 1 else "mono"
        self.over = False

    def see(self, frame: av.VideoFrame) -> bool:
        """Encode a frame if it is in the plan; tell whether it was."""
        time = frame.time or 0.0
        self.over = self.over or time >= self._last
        if not self._first <= time < self._last or frame.pts is None or frame.time_base is None:
            return False
        made = self._shape(frame)
        made.pts = round((time - self._first) / float(frame.time_base))
        made.time_base = frame.time_base
        made.pict_type = PictureType.NONE
        with encoding(self._plan.codec):
            self._out.mux(self._video.encode(made))
        return True

    def hear(self, frame: av.AudioFrame) -> None:
        """Encode sound, to the frame of sound."""
        time = frame.time or 0.0
        if self._sound is not None and self._first <= time < self._last:
            frame.pts = round((time - self._first) * frame.sample_rate)
            with encoding(self._plan.codec):
                self._out.mux(self._sound.encode(frame))

    def close(self) -> None:
        """Write what the encoders still hold."""
        with encoding(self._plan.codec):
            self._out.mux(self._video.encode(None))
            if self._sound is not None:
                self._out.mux(self._sound.encode(None))

    def _shape(self, frame: av.VideoFrame) -> av.VideoFrame:
        self._graph.push(frame)
        made = self._graph.pull()
        assert isinstance(made, av.VideoFrame)  # noqa: S101 - the graph has one kind of end
        return made

    def _build(self, frame: av.VideoFrame) -> Graph:
        width, height = square_size(frame, self._source)
        turn = _TURNS.get(frame.rotation % 360)
        if turn in {_TURNS[90], _TURNS[270]}:
            width, height = height, width
        if self._plan.height is not None and height > self._plan.height:
            width, height = round(width * self._plan.height / height), self._plan.height
        self._video.width, self._video.height = max(2, width // 2 * 2), max(2, height // 2 * 2)
        if self._plan.codec == "av1" and self._plan.bitrate and min(width, height) < _AV1_SIDE:
            raise BadPicture(f"AV1 with a bitrate needs sides of {_AV1_SIDE} pixels at least.")
        graph = Graph()
        nodes = [graph.add_buffer(template=self._source)]
        steps = [*(turn or "").split(","), f"scale={self._video.width}:{self._video.height}", "setsar=1"]
        for step in filter(None, [*steps, "format=yuv420p"]):
            name, _, value = step.partition("=")
            nodes.append(graph.add(name, value or None))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        return graph


def _add_sound(out: OutputContainer, plan: Plan, rate: int) -> AudioStream:
    sound = out.add_stream("libopus" if plan.kind == "webm" else "aac", rate=rate)
    assert isinstance(sound, AudioStream)  # noqa: S101 - both encoders make sound
    return sound
