"""How the log is written: one event a line, with fields, to stderr; every event is counted first."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Final, Literal

import structlog
from structlog.typing import EventDict, Processor

from media_pipeline.metrics import count_event
from media_pipeline.tracing import note_event

# the variables of a frame hold prompts, tokens and bytes
_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

Level = Literal["debug", "info", "warning"]
_LEVELS: Final[Mapping[str, int]] = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
"""Of what a level may hide; the rest is always written."""


def configure_logging(style: Literal["text", "json"], *, level: Level = "info") -> None:
    """Write events as readable lines or as JSON; below `level` they are counted and not written."""
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            count_event,
            note_event,
            _drop_below(level),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([_TRACEBACKS] if style == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _drop_below(level: Level) -> Processor:
    least = _LEVELS[level]

    def drop(_: object, method: str, event: EventDict) -> EventDict:
        if _LEVELS.get(method, logging.ERROR) < least:
            raise structlog.DropEvent
        return event

    return drop
