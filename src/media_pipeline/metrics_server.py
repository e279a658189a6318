"""Where a process that serves nothing else is asked for its metrics, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

from media_pipeline.metrics import CONTENT_TYPE, Gauges, render

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PATIENCE: Final = 10.0
"""Seconds that the process has to say how its parts stand."""


@asynccontextmanager
async def metrics_served(host: str, port: int, gauges: Sequence[Gauges]) -> AsyncIterator[int]:
    """Answer `GET /metrics` while the block lasts; yield the port. `OSError` if that is taken."""
    loop = asyncio.get_running_loop()

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        text = asyncio.run_coroutine_threadsafe(render(gauges), loop).result(PATIENCE)
        start_response("200 OK", [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(text)))])
        return [text]

    with make_server(host, port, answer, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            await asyncio.to_thread(server.shutdown)  # an answer on its way still needs this loop
            thread.join()


class _Quiet(WSGIRequestHandler):
    """A handler that writes no log of its own and waits for no slow reader."""

    timeout = PATIENCE

    def log_message(self, *_: object) -> None:
        """Say nothing."""
