"""What `POST /media/process` may be asked for; the wire is camelCase."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from media_pipeline.api.bodies import Body, ObjectPath, Side

Seconds = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]


class ResizeBody(Body):
    """New sides of an image; one of them may be left out."""

    type: Literal["resize"]
    width: Side | None = None
    height: Side | None = None
    fit: Literal["inside", "cover", "fill"] = "inside"

    @model_validator(mode="after")
    def _some_side(self) -> Self:
        if self.width is None and self.height is None:
            raise ValueError("give width, height or both")
        return self


class CropBody(Body):
    """A part of an image, in pixels of it upright."""

    type: Literal["crop"]
    x: int = Field(ge=0, le=100_000)
    y: int = Field(ge=0, le=100_000)
    width: Side
    height: Side


class ConvertBody(Body):
    """An image in another format."""

    type: Literal["convert"]
    format: Literal["png", "jpeg", "webp", "avif"]
    quality: int | None = Field(None, ge=1, le=100)


class ThumbnailBody(Body):
    """A small WebP of an image or a video."""

    type: Literal["thumbnail"]
    size: int = Field(ge=16, le=4096, description="pixels of the longer side at most")


class PosterBody(Body):
    """One frame of a video, as JPEG."""

    type: Literal["poster"]
    at: Seconds = 0.0


class TranscodeBody(Body):
    """A video in another codec: VP9 as WebM, the others as MP4."""

    type: Literal["transcode"]
    codec: Literal["h264", "hevc", "vp9", "av1"]
    height: int | None = Field(None, ge=16, le=4320, description="pixels at most")
    bitrate: int | None = Field(None, ge=10_000, le=200_000_000, description="bits a second")


class TrimBody(Body):
    """A part of a video, from frame to frame."""

    type: Literal["trim"]
    start: Seconds
    end: Seconds

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self


class StripBody(Body):
    """The same without metadata."""

    type: Literal["strip"]


OperationBody = Annotated[
    ResizeBody | CropBody | ConvertBody | ThumbnailBody | PosterBody | TranscodeBody | TrimBody | StripBody,
    Field(discriminator="type"),
]


class ProcessMedia(Body):
    """Make a new item of one of the library."""

    path: ObjectPath
    operation: OperationBody


class ImportMedia(Body):
    """Fetch a public file into the library."""

    url: str = Field(min_length=1, max_length=4096, examples=["https://example.com/picture.jpg"])
    filename: str | None = Field(None, min_length=1, max_length=1024)
