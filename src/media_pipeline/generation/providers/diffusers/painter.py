"""The process that holds a pipeline: loads it at the first order, tells each step, encodes the result.

Source: diffusers 0.42.1, `callback_on_step_end(pipeline, step, timestep, kwargs)`, called once a step from 0.
How many there will be is `num_timesteps`, which a pipeline may set lower than what was asked for.
"""

from __future__ import annotations

import inspect
import io
import queue
import threading
from collections.abc import Generator
from fractions import Fraction
from typing import Any, Final

import av
import msgspec
import numpy as np
from PIL import Image

from media_pipeline.children.child import serve
from media_pipeline.generation.providers.diffusers.order import Order
from media_pipeline.generation.providers.said import Failed, Finished, Message, Step

_loaded: Final[dict[str, Any]] = {}
"""The one pipeline in memory, by its source."""


def paint(order: Order) -> Generator[Message, None, None]:
    """Do the work of `order`, yielding each step as it is done; ends with `Finished` or `Failed`."""
    try:
        pipeline = load(order.source)
    except ImportError as error:
        yield Failed(
            f"{error.name or 'diffusers'} is not installed: pip install 'media-pipeline[diffusers]'."
        )
        return
    except (OSError, ValueError) as error:
        yield Failed(f"The model cannot be loaded: {str(error).partition(chr(10))[0][:200]}")
        return
    told: queue.SimpleQueue[Step | BaseException | Any] = queue.SimpleQueue()
    threading.Thread(target=_run, args=(pipeline, order, told), daemon=True).start()
    while isinstance(said := told.get(), Step):
        yield said
    if isinstance(said, BaseException):
        yield Failed(f"The model could not make it: {type(said).__name__}.")
        return
    yield Finished(_encoded(said, order))


def load(source: str) -> Any:
    """Return the pipeline, on the best device there is; another source replaces the one in memory."""
    import torch  # noqa: PLC0415 - an extra, and seconds to import
    from diffusers import DiffusionPipeline  # noqa: PLC0415

    if source not in _loaded:
        _loaded.clear()
        device = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
        half = torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else torch.float16
        dtype = torch.float32 if device == "cpu" else half
        pipeline = DiffusionPipeline.from_pretrained(source, dtype=dtype).to(device)
        pipeline.set_progress_bar_config(disable=True)
        _loaded[source] = pipeline
    return _loaded[source]


def _run(pipeline: Any, order: Order, told: queue.SimpleQueue[Any]) -> None:
    """Call the pipeline in a thread, so that a step can be told while the next one is computed."""

    def step_done(pipe: Any, number: int, _: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        told.put(Step(number + 1, int(getattr(pipe, "num_timesteps", None) or order.steps)))
        return kwargs

    try:
        result = pipeline(**_arguments(pipeline, order, step_done))
        told.put(getattr(result, "frames", None) if order.fps else result.images)
    except BaseException as error:  # noqa: BLE001 - raised where the order is done
        told.put(error)


def _arguments(pipeline: Any, order: Order, step_done: Any) -> dict[str, Any]:
    """Return what this pipeline takes of the order; some take no size, no negative prompt or no callback."""
    import torch  # noqa: PLC0415 - an extra

    wanted = {
        "prompt": order.prompt,
        "negative_prompt": order.negative_prompt,
        "width": order.width,
        "height": order.height,
        "num_inference_steps": order.steps,
        "num_frames": order.frames or None,
        "generator": torch.Generator(device="cpu").manual_seed(order.seed),
        "callback_on_step_end": step_done,
        **order.fixed,
    }
    taken = inspect.signature(pipeline.__call__).parameters
    return {name: value for name, value in wanted.items() if name in taken and value is not None}


def _encoded(made: Any, order: Order) -> bytes:
    if not order.fps:
        out = io.BytesIO()
        made[0].save(out, "PNG")
        return out.getvalue()
    return _film([_pixels(frame) for frame in made[0]], order.fps)


def _pixels(frame: Any) -> Any:
    """Return a frame as bytes of RGB, whether it came as a picture or as numbers from 0 to 1."""
    if isinstance(frame, Image.Image):
        return np.asarray(frame.convert("RGB"))
    return (np.clip(np.asarray(frame), 0, 1) * 255).round().astype(np.uint8)


def _film(frames: list[Any], fps: int) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, fps)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return out.getvalue()


if __name__ == "__main__":
    serve(msgspec.msgpack.Decoder(Order), paint)
