"""Choosing who makes a request, and at which size."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from media_pipeline.generation.fitting import check, resolve_size
from media_pipeline.generation.manager import MediaGenerationManager
from media_pipeline.generation.provider import (
    ErrorCode,
    InputMedia,
    ModelInfo,
    ProgressKind,
    ProviderError,
    Role,
)
from media_pipeline.generation.providers.procedural.provider import LOOP, SCENE

from .scripted import MODEL, NotingClock, Scripted, asked

FILM = ModelInfo(
    id="film", kind="video", label="F", progress=ProgressKind.PERCENT, fps=(24, 30), seconds_max=8
)
PHOTO = replace(MODEL, id="photo", roles=frozenset({"reference"}), seed=True, n_max=4)


EDIT = replace(MODEL, id="edit", roles=frozenset({"reference", "init", "mask"}), images_max=3)


def manager() -> MediaGenerationManager:
    return MediaGenerationManager(
        [Scripted(name="a", offered=(MODEL, FILM)), Scripted(name="b", offered=(PHOTO,))], clock=NotingClock()
    )


async def chosen(**changes: object) -> list[str]:
    return [offer.full_name for offer in await manager().choose(asked(**changes))]  # type: ignore[arg-type]  # any


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["a/m", "b/photo"]),
        ({"kind": "video"}, ["a/film"]),
        ({"provider": "b"}, ["b/photo"]),
        ({"model": "photo"}, ["b/photo"]),
        ({"model": "b/photo"}, ["b/photo"]),
        ({"n": 3}, ["b/photo"]),
        ({"seed": 1}, ["b/photo"]),
        ({"images": (InputMedia(role="reference", path="p", content_type="image/png"),)}, ["b/photo"]),
    ],
)
async def test_those_that_can_are_chosen(changes: dict[str, object], expected: list[str]) -> None:
    """Whoever can make the request is chosen, one model a provider, in order."""
    assert await chosen(**changes) == expected


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"provider": "z"}, ErrorCode.INVALID_REQUEST, "a, b"),
        ({"model": "z"}, ErrorCode.INVALID_REQUEST, "m, photo"),
        ({"n": 9}, ErrorCode.INVALID_REQUEST, "1 to 1"),
        ({"n": 9, "provider": "b"}, ErrorCode.INVALID_REQUEST, "1 to 4"),
        ({"width": 9000}, ErrorCode.INVALID_REQUEST, "64 to 4096 pixels"),
        ({"aspect_ratio": "wide"}, ErrorCode.INVALID_REQUEST, "16:9"),
        ({"kind": "video", "seconds": 60}, ErrorCode.INVALID_REQUEST, "at most 8"),
        ({"kind": "video", "fps": 25}, ErrorCode.INVALID_REQUEST, "24, 30"),
        ({"negative_prompt": "blur"}, ErrorCode.UNSUPPORTED, "negativePrompt"),
        (
            {"images": (InputMedia(role="mask", path="p", content_type="image/png"),)},
            ErrorCode.UNSUPPORTED,
            "mask",
        ),
        ({"kind": "video", "provider": "b"}, ErrorCode.INVALID_REQUEST, "must be one of a"),
    ],
)
async def test_a_refusal_names_what_is_allowed(
    changes: dict[str, object], reason: ErrorCode, words: str
) -> None:
    """A request that nobody can make is refused with a sentence that names what is allowed."""
    with pytest.raises(ProviderError) as caught:
        await chosen(**changes)
    assert caught.value.reason is reason
    assert words in str(caught.value)


async def test_without_providers_nothing_can_be_made() -> None:
    """Without a provider of the kind the refusal says so."""
    with pytest.raises(ProviderError, match="No configured provider makes videos"):
        await MediaGenerationManager([], clock=NotingClock()).choose(asked("video"))


async def test_a_model_past_its_sunset_is_not_offered() -> None:
    """A model is offered until the day of its sunset."""
    offered = tuple(replace(MODEL, id=str(day), sunset=date(2026, 11, day)) for day in (17, 18, 19))
    models = MediaGenerationManager([Scripted(offered=offered)], clock=NotingClock())
    assert [offer.model.id for offer in await models.models()] == ["19"]


@pytest.mark.parametrize(
    ("model", "changes", "size"),
    [
        (SCENE, {}, (768, 768)),
        (LOOP, {}, (512, 512)),
        (SCENE, {"width": 65, "height": 2048}, (65, 2048)),
        (SCENE, {"width": 300}, (300, 300)),
        (SCENE, {"height": 320, "aspect_ratio": "3:2"}, (480, 320)),
        (SCENE, {"aspect_ratio": "16:9"}, (1024, 576)),
        (SCENE, {"aspect_ratio": "9:16"}, (576, 1024)),
        (LOOP, {"aspect_ratio": "16:9"}, (682, 384)),
        (replace(SCENE, multiple_of=64), {"aspect_ratio": "4:3"}, (896, 640)),
        (replace(SCENE, max_side=800, aspect_ratios=()), {"aspect_ratio": "100:1"}, (800, 77)),
    ],
)
def test_a_size_follows_from_what_is_given(
    model: ModelInfo, changes: dict[str, object], size: tuple[int, int]
) -> None:
    """Given sides are kept, a missing one follows the ratio, a ratio keeps the default area."""
    assert resolve_size(asked(**changes), model) == size  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (SCENE, {"width": 63, "height": 64}),
        (SCENE, {"width": 64, "height": 2049}),
        (SCENE, {"aspect_ratio": "5:1"}),
        (SCENE, {"aspect_ratio": "0:0"}),
        (LOOP, {"width": 101, "height": 100}),
        (replace(SCENE, aspect_ratios=()), {"aspect_ratio": "1:0"}),
        (replace(SCENE, aspect_ratios=()), {"aspect_ratio": "nan:1"}),
        (replace(SCENE, aspect_ratios=()), {"aspect_ratio": "-1:1"}),
    ],
)
def test_a_size_that_cannot_be_made_is_refused(model: ModelInfo, changes: dict[str, object]) -> None:
    """A size or ratio outside the model's limits is an invalid request, never silently another."""
    with pytest.raises(ProviderError) as caught:
        resolve_size(asked(**changes), model)  # type: ignore[arg-type]  # any field
    assert caught.value.reason is ErrorCode.INVALID_REQUEST


REFERENCE = InputMedia(role="reference", path="p", content_type="image/png")
LISTED = ModelInfo(
    id="listed",
    kind="image",
    label="Listed",
    progress=ProgressKind.STATUS,
    sizes={"1:1": (1024, 1024), "16:9": (1344, 768)},
    default_size=(1344, 768),
)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ({}, (1344, 768)),
        ({"aspect_ratio": "1:1"}, (1024, 1024)),
        ({"width": 1024}, (1024, 1024)),
        ({"width": 1344, "height": 768}, (1344, 768)),
    ],
)
def test_a_list_of_sizes_is_all_there_is(shape: dict[str, Any], size: tuple[int, int]) -> None:
    """A model that makes a few sizes makes the one that the request names, or its default."""
    assert resolve_size(asked(**shape), LISTED) == size


@pytest.mark.parametrize("shape", [{"width": 1000}, {"aspect_ratio": "2:1"}, {"width": 1024, "height": 768}])
def test_a_size_off_the_list_is_refused(shape: dict[str, Any]) -> None:
    """Any other size is refused with the list."""
    with pytest.raises(ProviderError, match=r"listed makes 1024x1024 \(1:1\), 1344x768 \(16:9\)\."):
        resolve_size(asked(**shape), LISTED)


@pytest.mark.parametrize(
    ("limits", "shape", "said"),
    [
        ({"max_pixels": 100_000}, {"width": 512, "height": 512}, "at most 100000 pixels"),
        ({"max_ratio": 3.0}, {"width": 2048, "height": 512}, "more than 3 times"),
        ({"durations": (5.0, 10.0)}, {"seconds": 7.0}, "must be 5, 10"),
        ({"needs": {"first_frame"}}, {}, "needs an image as first_frame"),
        ({"roles": {"reference"}, "images_max": 1}, {"images": (REFERENCE, REFERENCE)}, "at most 1 images"),
    ],
)
def test_a_limit_says_what_is_allowed(limits: dict[str, Any], shape: dict[str, Any], said: str) -> None:
    """Every limit of a model refuses with a sentence that names it."""
    model = ModelInfo(id="m", kind="image", label="M", progress=ProgressKind.STATUS, **limits)
    with pytest.raises(ProviderError, match=said):
        check(asked(**shape), model)


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        (("init", "mask", "reference"), None),
        (("reference", "reference"), None),
        (("init", "init"), "Give one image as init, not 2."),
        (("init", "mask", "mask"), "Give one image as mask, not 2."),
        (("mask",), "A mask needs an image that it lies over."),
        (("reference", "reference", "reference", "init"), "edit takes at most 3 images."),
    ],
)
def test_images_fit_each_other(roles: tuple[Role, ...], words: str | None) -> None:
    """Of references there may be several; no image is left out in silence."""
    request = asked(images=tuple(InputMedia(role=role, path="p", content_type="image/png") for role in roles))
    if words is None:
        check(request, EDIT)
        return
    with pytest.raises(ProviderError) as error:
        check(request, EDIT)
    assert (error.value.reason, str(error.value).endswith(words)) == (ErrorCode.INVALID_REQUEST, True)
