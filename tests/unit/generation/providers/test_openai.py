"""What is OpenAI's own: partial pictures, several at once, edits and masks."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from media_pipeline.generation.provider import (
    Advanced,
    ErrorCode,
    Output,
    Preview,
    ProviderError,
    Running,
    Usage,
)
from media_pipeline.generation.providers.masks import with_alpha
from tests.servers.media import still
from tests.servers.openai import OpenAIServer

from .bench import adapter, asked, image, made, only


async def test_one_picture_shows_itself_in_parts() -> None:
    """One picture is streamed: partial pictures, then the whole, then its tokens; never a percentage."""
    async with adapter("openai", OpenAIServer) as (provider, server, model):
        events = await made(provider, model)
        assert len(only(Preview, events)) == server.bodies[0]["partial_images"] > 0
        assert not only(Advanced, events)
        assert len(only(Running, events)) == 1
        assert only(Usage, events)[0].figures["output_tokens"] == 1056


async def test_several_pictures_are_one_call() -> None:
    """Several pictures are one charged call without partial ones, so that none can be paid twice."""
    async with adapter("openai", OpenAIServer) as (provider, server, model):
        events = await made(provider, model, asked(model, n=3))
        assert [output.index for output in only(Output, events)] == [0, 1, 2]
        assert (server.billed, server.bodies[0]["n"], "stream" in server.bodies[0]) == (1, 3, False)


async def test_nobody_is_named_to_openai() -> None:
    """The user is told as a hash, which is the same each time."""
    async with adapter("openai", OpenAIServer) as (provider, server, model):
        for _ in range(2):
            await made(provider, model)
        first, second = (body["safety_identifier"] for body in server.bodies)
        assert first == second
        assert "ada" not in first


async def test_an_edit_sends_the_edited_picture_first_and_a_mask_with_alpha() -> None:
    """What is edited comes before references, whatever their order; a grey mask becomes a transparent one."""
    async with adapter("openai", OpenAIServer) as (provider, server, model):
        images = (image("reference", "large.png"), image("mask"), image("init"))
        events = await made(provider, model, asked(model, images=images))
        assert len(only(Output, events)) == 1
        form = [part for part in server.forms[0] if part.filename]
        assert [part.name for part in form] == ["image[]", "image[]", "mask"]
        assert form[0].data == still(1, 64, 64)


async def test_a_mask_alone_is_refused_before_anything_is_charged() -> None:
    """A mask without a picture under it is a bad request."""
    async with adapter("openai", OpenAIServer) as (provider, server, model):
        with pytest.raises(ProviderError) as caught:
            await made(provider, model, asked(model, images=(image("mask"),)))
        assert (caught.value.reason, server.billed) == (ErrorCode.INVALID_REQUEST, 0)


@pytest.mark.parametrize("ending", OpenAIServer.ENDINGS)
async def test_a_bad_end_of_several_says_why(ending: str) -> None:
    """Without a stream too, a blocked picture is told from a failure and from bytes that are missing."""
    async with adapter("openai", OpenAIServer) as (provider, server, model):
        server.end_next(ending)
        with pytest.raises(ProviderError) as caught:
            await made(provider, model, asked(model, n=2))
        assert caught.value.reason is ErrorCode(server.ENDINGS[ending])


def test_white_is_painted_and_alpha_is_kept() -> None:
    """A mask becomes transparent where it was white, at the picture's size; an alpha of its own is kept."""
    grey = Image.new("L", (4, 2), 0)
    grey.putpixel((0, 0), 255)
    made_of_grey = read(with_alpha(encoded(grey), over=still(0, 8, 4)))
    assert made_of_grey.size == (8, 4)
    assert made_of_grey.getchannel("A").getpixel((0, 0)) == 0
    assert made_of_grey.getchannel("A").getpixel((7, 3)) == 255
    clear = Image.new("RGBA", (8, 4), (9, 9, 9, 70))
    assert read(with_alpha(encoded(clear), over=still(0, 8, 4))).getchannel("A").getpixel((3, 3)) == 70
    with pytest.raises(ProviderError):
        with_alpha(b"no picture", over=still(0, 8, 4))


def encoded(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def read(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture.copy()
