"""The process that listens: bind, serve, and stop in the right order.

On SIGTERM or SIGINT claims stop and streams end with a clean last chunk at once, requests in flight
are answered, running jobs get their grace; a second signal exits without waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

import uvicorn

from media_pipeline.api.server_protocol import choose_protocol
from media_pipeline.app import create_service
from media_pipeline.errors import MediaPipelineError
from media_pipeline.heap import spare_heap
from media_pipeline.parts import Role
from media_pipeline.program import Program
from media_pipeline.settings import Settings

REQUEST_GRACE: Final = 5
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class CannotListen(MediaPipelineError):
    """The address is taken or not ours."""


class Server(uvicorn.Server):
    """uvicorn over a program: what has to end before the connections, and what signals mean."""

    def __init__(self, program: Program, *, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                create_service(program),
                http=choose_protocol(),
                access_log=False,
                log_level="warning",
                lifespan="off",  # uvicorn would swallow why a start failed; see `run`
                server_header=False,
                proxy_headers=False,  # nothing that a proxy says is needed: see PUBLIC_URL
                timeout_graceful_shutdown=REQUEST_GRACE,
            )
        )
        self._program = program
        self._on_ready = on_ready
        self._listening = asyncio.Event()

    async def run_on(self, listening: socket.socket) -> None:
        """Start the program, serve until a signal or `should_exit`, and stop the program.

        While the program waits for its database, what asks for its health is answered.
        """
        waits = asyncio.Event()
        starting = asyncio.create_task(self._program.start(on_wait=waits.set))
        waiting = asyncio.create_task(waits.wait())
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if starting.done():
            await starting
        watch = asyncio.create_task(self._exit_with_a_part(starting))
        try:
            await self.serve(sockets=[listening])
        finally:
            watch.cancel()
            await _ended(starting)
            await self._program.stop()
            await _ended(watch)

    async def _exit_with_a_part(self, starting: asyncio.Task[None]) -> None:
        """Half a program is worse than none: whoever supervises it starts it again whole."""
        try:
            await asyncio.wait([starting])
            if not starting.cancelled() and starting.exception() is None:
                await self._listening.wait()
                spare_heap()
                self._on_ready()
                await self._program.part_ended()
        finally:
            self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._program.begin_stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the first signal as the wish to stop; uvicorn would raise it again at the end."""
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin to stop; from here on a signal has its default effect, which is the end."""
        self.should_exit = True
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)


def serve(settings: Settings, *, roles: frozenset[Role], on_ready: Callable[[str], None]) -> None:
    """Run a program that serves, and may work beside it, until a signal.

    `on_ready` is called with the address once requests are answered. Raises `CannotListen`, or what
    keeps the program from starting.
    """
    with contextlib.closing(_bind(settings.host, settings.port)) as listening:
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
        program = Program(settings, roles=roles)
        server = Server(program, on_ready=lambda: on_ready(settings.base_url))
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.run_on(listening))


async def _ended(starting: asyncio.Task[None]) -> None:
    """Break a start off that still waits; raises what it failed of."""
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CannotListen(
            f"Cannot listen on {host}:{port}: {error.strerror}; set HOST or PORT to another."
        ) from error
    return listening
