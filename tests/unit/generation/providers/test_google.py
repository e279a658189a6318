"""What is Google's own: films that show late, inline bytes, waits in the details, and Veo's several films."""

from __future__ import annotations

import pytest

from media_pipeline.generation.provider import ErrorCode, Output, ProviderError, Usage
from tests.servers.google import InteractionServer, PictureServer, VeoServer, error
from tests.servers.web import Fault

from .bench import adapter, asked, image, made, only


async def test_a_shape_is_asked_for_by_its_ratio() -> None:
    """A size of Google's table becomes its ratio; the answer's tokens are told."""
    async with adapter("google-pictures", PictureServer) as (provider, server, model):
        events = await made(provider, model, asked(model, aspect_ratio="16:9", images=(image("init"),)))
        wanted = server.bodies[0]["generationConfig"]["imageConfig"]
        assert wanted == {"imageSize": "1K", "aspectRatio": "16:9"}
        assert only(Usage, events)[0].figures["totalTokenCount"] == 1299


async def test_a_wait_in_the_details_is_read() -> None:
    """Google says how long to wait in a RetryInfo, not in a header."""
    async with adapter("google-pictures", PictureServer) as (provider, server, model):
        detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "13.5s"}
        server.arm("submit", Fault(error(429, "RESOURCE_EXHAUSTED", detail=detail)))
        with pytest.raises(ProviderError) as caught:
            await made(provider, model)
        assert (caught.value.reason, caught.value.retry_after) == (ErrorCode.RATE_LIMITED, 13.5)


async def test_a_film_that_shows_late_is_waited_for() -> None:
    """A completed interaction that shows no film yet is looked at again, and not for ever."""
    async with adapter("google-films", InteractionServer) as (provider, server, model):
        server.empty = 3
        assert only(Output, await made(provider, model))
        server.empty = 1000
        with pytest.raises(ProviderError) as caught:
            await made(provider, model)
        assert caught.value.reason is ErrorCode.BAD_OUTPUT


async def test_a_film_comes_inline_or_as_a_file() -> None:
    """Bytes in the answer are taken as they are; a file is waited for until it can be downloaded."""
    async with adapter("google-films", InteractionServer) as (provider, server, model):
        [output] = only(Output, await made(provider, model))
        assert output.url
        assert output.url.startswith(server.url)
        assert server.count("file") == 2
        server.inline = True
        [output] = only(Output, await made(provider, model))
        assert output.data
        assert b"ftyp" in output.data[:16]


async def test_the_task_follows_from_the_pictures() -> None:
    """A first frame and a reference are different tasks."""
    async with adapter("google-films", InteractionServer) as (provider, server, model):
        for role in ("first_frame", "reference"):
            await made(provider, model, asked(model, seconds=3.0, images=(image(role),)))
        tasks = [body["generation_config"]["video_config"]["task"] for body in server.bodies]
        assert tasks == ["image_to_video", "reference_to_video"]
        assert server.bodies[0]["response_format"]["duration"] == "3s"


async def test_veo_makes_several_films_and_tells_the_seed_of_the_first() -> None:
    """Each film has its index; only the first is what its seed alone would give."""
    async with adapter("vertex", VeoServer) as (provider, server, model):
        request = asked(
            model, n=2, seed=5, seconds=4.0, negative_prompt="rain", images=(image("last_frame"),)
        )
        outputs = only(Output, await made(provider, model, request))
        assert [(output.index, output.seed) for output in outputs] == [(0, 5), (1, None)]
        assert server.bodies[0]["parameters"]["negativePrompt"] == "rain"
        assert "lastFrame" in server.bodies[0]["instances"][0]
