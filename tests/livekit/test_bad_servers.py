"""Servers that are not there, say nothing, do not know us or are no LiveKit at all: each is an error that says so."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from livekit.api import access_token

from utd_core.concurrency import SystemClock
from utd_core.errors import ConnectFailed, DeadlineExceeded, MediaError, NotFound
from utd_core.media.backend import ConnectOptions, JoinTicket
from utd_core.model.permission import Grant
from utd_core.testing.wait import eventually
from utd_livekit.backend import LiveKitBackend
from utd_livekit.server.local import LocalServer, free_port
from utd_livekit.server.wire import Wire

pytestmark = pytest.mark.heavy

SECRET = "a-secret-of-at-least-thirty-two-bytes"
IMPATIENT = ConnectOptions(deadline=3.0)


@asynccontextmanager
async def stranger(url: str, **settings: Any) -> AsyncIterator[LiveKitBackend]:
    """A backend with keys of its own; afterwards none of its tasks is left."""
    given = {"url": url, "api_key": "stranger", "api_secret": SECRET, **settings}
    async with LiveKitBackend(given, SystemClock()) as backend:
        yield backend
    await eventually(lambda: not left(), 5.0)


def left() -> list[str]:
    """The tasks of a backend that are under way."""
    names = (task.get_name() for task in asyncio.all_tasks())
    return [name for name in names if "livekit" in name and "server.wire" not in name]


async def ticket(backend: LiveKitBackend) -> JoinTicket:
    return await backend.control.issue_join("lobby", "ann", grant=Grant())


async def test_wrong_keys_are_an_error_that_asks_about_them(server: LocalServer) -> None:
    await asyncio.to_thread(server.start)
    async with Wire(server.url) as wire, stranger(await wire.open()) as backend:
        with pytest.raises(MediaError, match="API key and secret"):
            await backend.control.list_rooms()
        with pytest.raises(ConnectFailed):
            await backend.connect(await ticket(backend))


async def test_a_clock_that_is_minutes_ahead_is_named(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.to_thread(server.start)
    show_another_time(monkeypatch, 600)
    async with stranger(server.url, api_key=server.api_key, api_secret=server.api_secret) as backend:
        with pytest.raises(MediaError, match="clocks"):
            await backend.control.list_rooms()


async def test_a_clock_that_is_seconds_wrong_does_no_harm(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.to_thread(server.start)
    show_another_time(monkeypatch, 30)
    async with stranger(server.url, api_key=server.api_key, api_secret=server.api_secret) as backend:
        await backend.control.list_rooms()


def show_another_time(monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    """Tokens are made by a clock that is `ahead` seconds before the server's."""

    class Watch(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return dt.datetime.now(tz) + dt.timedelta(seconds=ahead)

    shown = SimpleNamespace(datetime=Watch, timedelta=dt.timedelta, timezone=dt.timezone)
    monkeypatch.setattr(access_token, "datetime", shown)


async def test_nobody_at_the_port_is_unreachable() -> None:
    async with stranger(f"ws://127.0.0.1:{free_port()}") as backend:
        with pytest.raises(MediaError, match="cannot be reached"):
            await backend.control.list_rooms()
        with pytest.raises((ConnectFailed, DeadlineExceeded)):
            await backend.connect(await ticket(backend), IMPATIENT)


async def test_a_name_that_nobody_has_is_unreachable() -> None:
    async with stranger("wss://livekit.invalid") as backend:
        with pytest.raises(MediaError, match="cannot be reached"):
            await backend.control.list_rooms()
        with pytest.raises((ConnectFailed, DeadlineExceeded)):
            await backend.connect(await ticket(backend), IMPATIENT)


async def test_a_server_that_says_nothing_is_waited_for_no_longer_than_was_asked() -> None:
    async with Wire("ws://127.0.0.1") as wire:
        wire.hold()
        async with stranger(await wire.open(), timeout=0.5) as backend:
            with pytest.raises(DeadlineExceeded, match=r"0\.5 s"):
                await backend.control.list_rooms()
            with pytest.raises(DeadlineExceeded):
                await backend.connect(await ticket(backend), ConnectOptions(deadline=0.5))
            wire.hang_up()


Handler = Callable[[web.Request], Awaitable[web.Response]]


async def greet(_: web.Request) -> web.Response:
    return web.Response(text="hello", content_type="text/html")


async def unknown_page(_: web.Request) -> web.Response:
    return web.Response(status=404, text="<h1>not here</h1>", content_type="text/html")


async def older_release(_: web.Request) -> web.Response:
    return web.json_response({"code": "bad_route", "msg": "no handler for path"}, status=404)


@pytest.mark.parametrize(
    ("answer", "said"),
    [(greet, "no LiveKit server"), (unknown_page, "no LiveKit server"), (older_release, "no handler for path")],
    ids=["some-web-server", "not-found", "older-release"],
)
async def test_what_is_no_livekit_or_too_old_says_so(answer: Handler, said: str) -> None:
    async with serving(answer) as url, stranger(url) as backend:
        with pytest.raises(MediaError, match=said):
            await backend.control.list_rooms()
        with pytest.raises((ConnectFailed, DeadlineExceeded)):
            await backend.connect(await ticket(backend), IMPATIENT)


@asynccontextmanager
async def serving(answer: Handler) -> AsyncIterator[str]:
    """Its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def test_a_room_of_an_odd_name_is_one_room_there_and_here(backend: LiveKitBackend) -> None:
    for room in ("a/b?c=d&e#f", "../../etc", "%2e%2e", "лобби 🎙", "a" * 193):
        await backend.control.create_room(room)
        assert room in await backend.control.list_rooms()
        await backend.control.close_room(room)
        with pytest.raises(NotFound):
            await backend.control.apply_grant(room, "ann", Grant())
