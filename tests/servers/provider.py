"""What the fakes of providers have in common, so that one suite can drive them all.

A fake says in its provider's own form how it refuses (`FAULTS`), how a job can end badly (`ENDINGS`) and
what it answers to a cancel (`CANCELS`), each with the reason it must be understood as. `billed` counts what
would be paid. Its places are `submit`, `poll`, `cancel` and whatever else it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from tests.servers.media import Shelf
from tests.servers.web import Fault, Web

Stage = Literal["queued", "running", "done"]


class ProviderServer(Web):
    """A fake of a provider that takes jobs with `key` and puts results on `shelf`."""

    key: ClassVar[str] = "test-key"
    FAULTS: ClassVar[Mapping[str, tuple[Fault, str]]] = {}
    """At the submit: a refusal in the provider's own form, and the reason it means."""
    ENDINGS: ClassVar[Mapping[str, str]] = {}
    """How a job can end without a result, by name, and the reason it means."""
    CANCELS: ClassVar[Mapping[Stage, str]] = {}
    """What a cancel comes to at each stage; empty where nothing can be cancelled."""
    RESUMES: ClassVar[bool] = True
    """Whether a job lives on without its connection."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        self.shelf = shelf
        self.billed = 0
        self.strange = False
        """Whether running jobs have a status that no document names."""
        self._held: Stage | None = None
        self._ending = ""

    def hold(self, stage: Stage | None) -> None:
        """Let no job get past `stage`; None lets them go on."""
        self._held = stage

    def end_next(self, ending: str) -> None:
        """Let the next job end as `ENDINGS` names it."""
        self._ending = ending

    def take_ending(self) -> str:
        """Return how the job that is taken now shall end, once."""
        ending, self._ending = self._ending, ""
        return ending

    def submits_of(self, n: int) -> int:
        """Return how many billable calls a request for `n` results takes."""
        return 1 if self.RESUMES else n

    def forget(self) -> None:
        """Know no job any more."""
        raise NotImplementedError

    def check_pictures(self) -> None:
        """Assert that pictures arrived with the requests, each in the form this provider wants."""
        raise NotImplementedError
