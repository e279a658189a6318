"""What one prompt has told so far, as events: only what is new, and only real numbers.

The number is steps: those of the nodes that count some, over all of them. A node that was cached sends
nothing and counts as done when a later one begins to count.
"""

from __future__ import annotations

from collections.abc import Mapping

from media_pipeline.generation.provider import Advanced, Preview, ProviderEvent, Queued, Running
from media_pipeline.generation.providers.comfyui.frames import Shown, Told

ENDS = frozenset({"execution_success", "execution_error", "execution_interrupted"})


class Story:
    """The prompt `prompt_id` with its `steps` by node."""

    def __init__(self, prompt_id: str, steps: Mapping[str, int]) -> None:
        self._id = prompt_id
        self._steps = steps
        self._done = dict.fromkeys(steps, 0.0)
        self._told = 0.0
        self._running = False
        self._position: int | None = None

    def stand(self, position: int) -> list[ProviderEvent]:
        """Take the place in the queue, from 1; 0 is the prompt that runs."""
        if position == 0:
            return self._run()
        if self._running or position == self._position:
            return []
        self._position = position
        return [Queued(position)]

    def hear(self, frame: Told | Shown) -> list[ProviderEvent]:
        """Take a message of the feed."""
        if isinstance(frame, Shown):
            mine = frame.prompt_id in {None, self._id}
            return [Preview(0, frame.picture, frame.content_type)] if mine and self._running else []
        if not frame.of(self._id):
            return []
        match frame.kind:
            case "execution_start":
                return self._run()
            case "execution_cached":
                for node in frame.data.get("nodes", ()):
                    self._count(str(node), 1, 1)
            case "progress":
                self._count(str(frame.data.get("node")), frame.data.get("value"), frame.data.get("max"))
                return [*self._run(), *self._advanced()]
            case _:
                pass
        return []

    def is_over(self, frame: Told | Shown) -> bool:
        """Tell whether a message says that the prompt is over."""
        if isinstance(frame, Shown) or not frame.of(self._id):
            return False
        return frame.kind in ENDS or (frame.kind == "executing" and frame.data.get("node") is None)

    def waits_at(self, frame: Told | Shown) -> bool:
        """Tell whether a message says that the queue has changed while this prompt is in it."""
        return not self._running and isinstance(frame, Told) and frame.kind == "status"

    def _run(self) -> list[ProviderEvent]:
        new, self._running = not self._running, True
        return [Running()] if new else []

    def _count(self, node: str, value: object, most: object) -> None:
        if (
            node in self._steps
            and isinstance(value, int | float)
            and isinstance(most, int | float)
            and most > 0
        ):
            share = min(1.0, value / most)
            self._done[node] = max(self._done[node], share * self._steps[node])

    def _advanced(self) -> list[ProviderEvent]:
        done, total = sum(self._done.values()), sum(self._steps.values())
        if done <= self._told:
            return []
        self._told = done
        return [Advanced(round(done, 2), total, "step")]
