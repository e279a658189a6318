"""The program ends as a whole."""

from __future__ import annotations

import asyncio
import socket

import pytest

from media_pipeline.environment import read_settings
from media_pipeline.program import PartDied, Program
from media_pipeline.server import Server


async def test_a_dead_part_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a loop of the program dies, the server stops and says so instead of going on without it."""
    program = Program(read_settings(auth_jwt_secret="s" * 32))
    running = asyncio.Event()
    server = Server(program, on_ready=running.set)

    async def break_down(*_: object, **__: object) -> None:
        await running.wait()
        raise RuntimeError("the worker's own defect")

    monkeypatch.setattr(program.worker, "run", break_down)
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(PartDied):
        async with asyncio.timeout(10):
            await server.run_on(listening)
