"""The process that listens: bind, serve, and stop in the right order.

On SIGTERM or SIGINT claims stop and streams end with a clean last chunk at once, requests in flight
are answered, running jobs get their grace; a second signal exits without waiting.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import uvicorn

from media_pipeline.app import Program, create_app
from media_pipeline.errors import MediaPipelineError
from media_pipeline.settings import Settings

REQUEST_GRACE: Final = 5


class CannotListen(MediaPipelineError):
    """The address is taken or not ours."""


class _Uvicorn(uvicorn.Server):
    """uvicorn, told what to end before it waits for its connections."""

    def __init__(self, config: uvicorn.Config, program: Program, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._program = program
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._program.begin_stop()
        await super().shutdown(sockets)


def serve(settings: Settings, *, on_ready: Callable[[str], None]) -> bool:
    """Run the whole program until a signal; return whether it had started.

    `on_ready` is called with the address once requests are answered. Raises `CannotListen`.
    """
    listening = _bind(settings.host, settings.port)
    settings = settings.model_copy(update={"port": listening.getsockname()[1]})
    program = Program(settings)
    config = uvicorn.Config(
        create_app(program),
        access_log=False,
        log_level="warning",
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=REQUEST_GRACE,
    )
    server = _Uvicorn(config, program, lambda: on_ready(program.base_url))
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listening]))
    return server.started


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CannotListen(
            f"Cannot listen on {host}:{port}: {error.strerror}; set PORT to another."
        ) from error
    listening.set_inheritable(True)
    return listening
