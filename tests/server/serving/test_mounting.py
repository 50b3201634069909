"""`engine.asgi()` inside of applications that other people wrote."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from utd_core import Engine
from utd_core.server import Project

PROJECT = Project("embedded", "key-of-the-project", ("secret-of-the-project",))
HEADERS = {"X-App-Id": "embedded", "X-App-Secret": PROJECT.secret}


def in_starlette(app: ASGIApp) -> ASGIApp:
    async def hello(request: Request) -> Response:
        return PlainTextResponse("hello")

    return Starlette(routes=[Route("/hello", hello), Mount("/rtc", app)])


def in_fastapi(app: ASGIApp) -> ASGIApp:
    outer = FastAPI()

    @outer.get("/hello", response_class=PlainTextResponse)
    async def hello() -> str:
        return "hello"

    outer.mount("/rtc", app)
    return outer


@pytest.mark.parametrize("within", [in_starlette, in_fastapi])
async def test_an_engine_is_served_below_a_path_beside_the_applications_own(
    utd_engine: Engine, within: Callable[[ASGIApp], ASGIApp]
) -> None:
    app = utd_engine.asgi(PROJECT)
    transport = httpx.ASGITransport(within(app))
    async with app, httpx.AsyncClient(transport=transport, base_url="http://shop.example.com") as client:
        assert (await client.get("/hello")).text == "hello"
        session = await client.post("/rtc/api/v1/auth/session", json={"identity": "ann"}, headers=HEADERS)
        assert session.json()["ws_url"] == f"ws://shop.example.com/rtc/app/{PROJECT.key}"
        bearer = {"Authorization": f"Bearer {session.json()['user_token']}"}
        join = {"room": "lobby", "type": "audio_room", "as_host": True}
        assert (await client.post("/rtc/api/v1/token", json=join, headers=bearer)).status_code == 200
        signed = await client.post(
            "/rtc/api/v1/channels/auth",
            data={"socket_id": "1.2", "channel_name": "private-room.lobby"},
            headers=bearer,
        )
        assert signed.json()["auth"].startswith(PROJECT.key)
        missing = await client.get("/rtc/nothing")
        assert (missing.status_code, missing.json()["code"]) == (404, "route_not_found")
        socket = await client.get(f"/rtc/app/{PROJECT.key}")
        assert (socket.status_code, socket.json()["code"]) == (404, "route_not_found")
        assert "WebSocket" in socket.json()["message"], "who asks by HTTP for a socket is told how it is had"
        (server,) = (await client.get("/rtc/openapi.json")).json()["servers"]
        assert server["url"].startswith("/rtc")
