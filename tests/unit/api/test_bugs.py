"""An exception that nobody expected is answered and logged, once each."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from media_pipeline.api.bugs import BugsCaught
from media_pipeline.api.cors import ApiCors
from media_pipeline.api.problems import install_problems
from media_pipeline.errors import MediaPipelineError

PAGE = "https://page.example"


class Unlisted(MediaPipelineError):
    """An error that no status stands for."""

    code = "unlisted"


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    install_problems(app)
    app.add_middleware(BugsCaught)
    app.add_middleware(ApiCors, origins=(PAGE,))

    @app.get("/broken/{name}")
    async def broken(name: str) -> None:
        raise ValueError("canary") if name == "value" else Unlisted("canary")

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def body() -> object:
            yield b"half"
            raise ValueError("canary")

        return StreamingResponse(body())  # type: ignore[arg-type] # it never ends as it should

    return app


async def ask(app: ASGIApp, path: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app)  # raises what the server would log a second time
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        return await http.get(path, headers={"Origin": PAGE})


@pytest.mark.parametrize("name", ["value", "domain"])
async def test_a_bug_is_answered_and_logged_once(app: FastAPI, name: str) -> None:
    """The page can read the 500, the log names the route and not the path, the server hears of nothing."""
    with capture_logs() as logs:
        answer = await ask(app, f"/broken/{name}")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "canary" not in answer.text
    assert [(log["event"], log["route"]) for log in logs] == [("request.failed", "/broken/{name}")]


async def test_a_bug_amid_an_answer_breaks_it_off(app: FastAPI) -> None:
    """Half an answer must not look like a whole one."""
    with capture_logs() as logs, pytest.raises(ValueError, match="canary"):
        await ask(app, "/half")
    assert [log["event"] for log in logs] == ["request.failed"]
