"""What the API takes, as pydantic models; the wire is camelCase."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

MAX_PROMPT: Final = 8000
MAX_SEED: Final = 2**53 - 1
MAX_SIDE: Final = 8192
MAX_DELETED: Final = 1000


class Body(BaseModel):
    """A JSON body; unknown fields are refused so that a typing error is told."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


def _is_text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    for character in value:
        if unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\r\t":
            raise ValueError("must not hold control characters")
    return value


Prompt = Annotated[
    str,
    Field(min_length=1, max_length=MAX_PROMPT, examples=["a lighthouse at dawn"]),
    AfterValidator(_is_text),
]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE, description="pixels")]
Ratio = Annotated[str, Field(pattern=r"^[1-9]\d?:[1-9]\d?$", examples=["16:9"])]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Label = Annotated[Name, AfterValidator(_is_text)]
ObjectPath = Annotated[str, Field(min_length=1, max_length=1024)]


class _Generate(Body):
    """What both kinds of generation share."""

    prompt: Prompt
    width: Side | None = None
    height: Side | None = None
    aspect_ratio: Ratio | None = Field(None, description="instead of width and height")
    seed: Seed | None = None
    provider: Name | None = None
    model: Name | None = None
    priority: Literal["normal", "low"] = "normal"

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if self.aspect_ratio is not None and (self.width is not None or self.height is not None):
            raise ValueError("give aspectRatio or width and height, not both")
        return self


class ImageInput(Body):
    """A picture of the caller's library to build on."""

    path: ObjectPath
    role: Literal["reference", "init", "mask"] = "reference"


class FrameInput(Body):
    """A picture of the caller's library that a video builds on."""

    path: ObjectPath
    role: Literal["reference", "first_frame", "last_frame"] = "reference"


class GenerateImage(_Generate):
    """Ask for one or more images."""

    n: int = Field(1, ge=1, le=8, description="how many images")
    negative_prompt: Prompt | None = None
    images: list[ImageInput] = Field(default_factory=list, max_length=8)


class GenerateVideo(_Generate):
    """Ask for a video."""

    seconds: float | None = Field(None, gt=0, le=600, allow_inf_nan=False)
    fps: int | None = Field(None, ge=1, le=120)
    images: list[FrameInput] = Field(default_factory=list, max_length=8)


class UploadInit(Body):
    """Announce a file."""

    filename: str = Field(min_length=1, max_length=1024, examples=["holiday.jpg"])
    content_type: str = Field(max_length=255, pattern=r"^[\x20-\x7e]*$", examples=["image/jpeg"])
    size: int | None = Field(None, ge=0, description="bytes; binds the upload URL to exactly so many")


class UploadPath(Body):
    """Name an upload by what `init` answered."""

    object_path: ObjectPath


class UploadCount(UploadPath):
    """How far the client is with its PUT, in bytes."""

    loaded: int = Field(ge=0)
    total: int = Field(gt=0)

    @model_validator(mode="after")
    def _not_past(self) -> Self:
        if self.loaded > self.total:
            raise ValueError("loaded must not be more than total")
        return self


class MediaChange(Body):
    """What to change of an item; what is left out stays."""

    name: Label | None = None
    alt: Annotated[str, Field(max_length=2000)] | None = Field(None, description="empty takes it away")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.name is None and self.alt is None:
            raise ValueError("give name, alt or both")
        return self


class MediaDeletion(Body):
    """Which items to delete: by path, or all that a listing with this filter would show."""

    paths: list[ObjectPath] | None = Field(None, min_length=1, max_length=MAX_DELETED)
    prefix: Annotated[str, Field(max_length=1024)] = ""
    kind: Literal["image", "video", "file"] | None = None
    q: Annotated[str, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        filtered = bool(self.prefix or self.kind or self.q)
        if filtered == (self.paths is not None):
            raise ValueError("give paths, or prefix, kind or q")
        return self
