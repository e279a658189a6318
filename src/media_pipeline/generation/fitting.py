"""Whether a request fits a model, and the size it gets there; pure, and checked before anything is queued."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from media_pipeline.generation.provider import ErrorCode, GenerationRequest, ModelInfo, ProviderError


def with_seed(request: GenerationRequest, *, below: int) -> GenerationRequest:
    """Return the request with a seed, drawn here where it has none: a result can then be made again."""
    return request if request.seed is not None else replace(request, seed=secrets.randbelow(below))


def resolve_size(request: GenerationRequest, model: ModelInfo) -> tuple[int, int]:
    """Return the width and height in pixels that `model` makes for `request`.

    Given sides are kept as they are or refused; a missing side follows from the aspect ratio, else from
    the model's default shape; a ratio alone keeps the model's default area. Raises
    `ProviderError(INVALID_REQUEST)` with a sentence that names what is allowed.
    """
    if model.sizes:
        return _listed(request, model)
    ratio = _ratio(request, model)
    match request.width, request.height:
        case int(width), int(height):
            size = width, height
        case int(width), None:
            size = width, _near(width / ratio, model)
        case None, int(height):
            size = _near(height * ratio, model), height
        case _:
            size = _shaped(ratio, model) if request.aspect_ratio else model.default_size
    if any(not _fits(side, model) for side in size):
        raise _invalid(f"{model.id} makes sides of {_sides(model)}, not {size[0]}x{size[1]}.", request)
    if model.max_pixels and size[0] * size[1] > model.max_pixels:
        raise _invalid(
            f"{model.id} makes at most {model.max_pixels} pixels, not {size[0]}x{size[1]}.", request
        )
    if model.max_ratio and max(size) > model.max_ratio * min(size):
        raise _invalid(f"{model.id} makes no side more than {model.max_ratio:g} times the other.", request)
    return size


def check(request: GenerationRequest, model: ModelInfo) -> None:
    """Raise `ProviderError` when `model` cannot make what is asked for.

    INVALID_REQUEST for a value out of range, UNSUPPORTED for something the model does not take at all.
    """
    for reason, sentence in _misfits(request, model):
        raise ProviderError(reason, sentence, provider=request.provider or "any")
    resolve_size(request, model)


def _misfits(request: GenerationRequest, model: ModelInfo) -> Iterator[tuple[ErrorCode, str]]:
    if not 1 <= request.n <= model.n_max:
        yield ErrorCode.INVALID_REQUEST, f"{model.id} makes 1 to {model.n_max} results at a time."
    if request.seconds is not None and not _lasts(request.seconds, model):
        yield ErrorCode.INVALID_REQUEST, _seconds(model)
    if request.fps is not None and request.fps not in model.fps:
        yield ErrorCode.INVALID_REQUEST, _fps(model)
    yield from _image_misfits(Counter(image.role for image in request.images), model)
    if request.negative_prompt and not model.negative_prompt:
        yield ErrorCode.UNSUPPORTED, f"{model.id} takes no negativePrompt."
    if request.seed is not None and not model.seed:
        yield ErrorCode.UNSUPPORTED, f"{model.id} takes no seed."


def _image_misfits(counts: Counter[str], model: ModelInfo) -> Iterator[tuple[ErrorCode, str]]:
    """Tell what is wrong with the images that are given; only of references there may be several."""
    if strange := counts.keys() - model.roles:
        yield ErrorCode.UNSUPPORTED, f"{model.id} takes {_roles(model)}, not {', '.join(sorted(strange))}."
    if missing := model.needs - counts.keys():
        yield ErrorCode.UNSUPPORTED, f"{model.id} needs an image as {' and as '.join(sorted(missing))}."
    for role, count in counts.items():
        if count > 1 and role != "reference":
            yield ErrorCode.INVALID_REQUEST, f"Give one image as {role}, not {count}."
    if counts.keys() == {"mask"}:
        yield ErrorCode.INVALID_REQUEST, "A mask needs an image that it lies over."
    if counts.total() > model.images_max:
        yield ErrorCode.INVALID_REQUEST, f"{model.id} takes at most {model.images_max} images."


def _listed(request: GenerationRequest, model: ModelInfo) -> tuple[int, int]:
    """Return the one size of the model's list that the request names; its default where none is named."""
    if request.aspect_ratio is None and request.width is None and request.height is None:
        known = model.default_size in model.sizes.values()
        return model.default_size if known else next(iter(model.sizes.values()))
    for ratio, (width, height) in model.sizes.items():
        if (
            request.aspect_ratio in (None, ratio)
            and request.width in (None, width)
            and request.height in (None, height)
        ):
            return width, height
    allowed = ", ".join(f"{width}x{height} ({ratio})" for ratio, (width, height) in model.sizes.items())
    raise _invalid(f"{model.id} makes {allowed}.", request)


def _lasts(seconds: float, model: ModelInfo) -> bool:
    if model.durations:
        return seconds in model.durations
    return 0 < seconds <= (model.seconds_max or 0)


def _ratio(request: GenerationRequest, model: ModelInfo) -> float:
    if request.aspect_ratio is None:
        return model.default_size[0] / model.default_size[1]
    if model.aspect_ratios and request.aspect_ratio not in model.aspect_ratios:
        raise _invalid(f"aspectRatio must be one of {', '.join(model.aspect_ratios)}.", request)
    try:
        across, down = (float(part) for part in request.aspect_ratio.split(":"))
        ratio = across / down
    except (ValueError, ZeroDivisionError):
        ratio = 0.0
    if not 0 < ratio < math.inf:
        raise _invalid("aspectRatio is two numbers such as 16:9.", request)
    return ratio


def _shaped(ratio: float, model: ModelInfo) -> tuple[int, int]:
    area = model.default_size[0] * model.default_size[1]
    width = math.sqrt(area * ratio)
    return _near(width, model), _near(width / ratio, model)


def _near(side: float, model: ModelInfo) -> int:
    """The allowed side nearest to `side`."""
    step = model.multiple_of
    lowest, highest = -(-model.min_side // step) * step, model.max_side // step * step
    return min(highest, max(lowest, round(side / step) * step))


def _fits(side: int, model: ModelInfo) -> bool:
    return model.min_side <= side <= model.max_side and side % model.multiple_of == 0


def _sides(model: ModelInfo) -> str:
    steps = f" in steps of {model.multiple_of}" if model.multiple_of > 1 else ""
    return f"{model.min_side} to {model.max_side} pixels{steps}"


def _seconds(model: ModelInfo) -> str:
    if model.durations:
        return f"seconds of {model.id} must be {', '.join(f'{each:g}' for each in model.durations)}."
    if not model.seconds_max:
        return f"{model.id} takes no seconds."
    return f"seconds of {model.id} is more than 0 and at most {model.seconds_max:g}."


def _fps(model: ModelInfo) -> str:
    if not model.fps:
        return f"{model.id} takes no fps."
    rates = sorted(model.fps)
    whole = rates == list(range(rates[0], rates[-1] + 1)) and len(rates) > 1
    allowed = f"{rates[0]} to {rates[-1]}" if whole else ", ".join(map(str, rates))
    return f"fps of {model.id} must be {allowed}."


def _roles(model: ModelInfo) -> str:
    return f"images as {', '.join(sorted(model.roles))}" if model.roles else "no images"


def _invalid(sentence: str, request: GenerationRequest) -> ProviderError:
    return ProviderError(ErrorCode.INVALID_REQUEST, sentence, provider=request.provider or "any")
