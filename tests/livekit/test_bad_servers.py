"""Servers that are not there, say nothing, do not know us or are no LiveKit at all: each is an error that says so."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from livekit.api import access_token

from tests.proxy import LOOPBACK, Proxy
from tests.tls import Authority
from utd_core.concurrency import SystemClock
from utd_core.errors import ConnectFailed, DeadlineExceeded, ErrorCode, MediaError, NotFound
from utd_core.media.backend import ConnectOptions, JoinTicket
from utd_core.model.permission import Grant
from utd_core.testing.wait import eventually
from utd_livekit.backend import LiveKitBackend
from utd_livekit.server.local import LocalServer, free_port
from utd_livekit.server.wire import Wire

pytestmark = [pytest.mark.heavy, pytest.mark.usefixtures("server")]

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


def acquainted(server: LocalServer, url: str) -> AbstractAsyncContextManager[LiveKitBackend]:
    """The same, with the server's own keys."""
    return stranger(url, api_key=server.api_key, api_secret=server.api_secret)


async def ticket(backend: LiveKitBackend, identity: str = "ann") -> JoinTicket:
    return await backend.control.issue_join("lobby", identity, grant=Grant())


async def refused(backend: LiveKitBackend, ticket: JoinTicket, *, remedy: str) -> None:
    """Nobody is let in with this ticket; the error says what to do, and no part of the ticket."""
    with pytest.raises(ConnectFailed, match=remedy) as failed:
        await backend.connect(ticket)
    body = ticket.token.partition(".")[2]
    assert not body or body not in "".join(traceback.format_exception(failed.value))


async def unknown(backend: LiveKitBackend, *, remedy: str) -> None:
    """Neither control nor tickets of this backend are good for the server; each error says what to do."""
    with pytest.raises(MediaError, match=remedy):
        await backend.control.list_rooms()
    await refused(backend, await ticket(backend), remedy=remedy)


@pytest.mark.parametrize("wrong", [{}, {"api_key": "local"}], ids=["key", "secret"])
async def test_wrong_keys_are_an_error_that_asks_about_them(server: LocalServer, wrong: dict[str, str]) -> None:
    await asyncio.to_thread(server.start)
    async with Wire(server.url) as wire, stranger(await wire.open(), **wrong) as backend:
        await unknown(backend, remedy="API key and secret")


@pytest.mark.parametrize("ahead", [600, -7 * 3_600], ids=["ahead", "behind"])
async def test_a_clock_that_is_wrong_by_more_than_tokens_are_good_for_is_asked_about(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    await asyncio.to_thread(server.start)
    show_another_time(monkeypatch, ahead)
    async with Wire(server.url) as wire, acquainted(server, await wire.open()) as backend:
        await unknown(backend, remedy="clocks")


@pytest.mark.parametrize("ahead", [30, -600], ids=["ahead", "behind"])
async def test_a_clock_that_is_wrong_by_less_does_no_harm(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    await asyncio.to_thread(server.start)
    show_another_time(monkeypatch, ahead)
    async with Wire(server.url) as wire, acquainted(server, await wire.open()) as backend:
        await backend.control.create_room("lobby")
        async with await backend.connect(await ticket(backend)) as ann:
            assert ann.identity == "ann"
        await backend.control.close_room("lobby")


async def test_a_room_that_is_full_or_not_there_is_what_the_error_says(server: LocalServer) -> None:
    await asyncio.to_thread(server.start)
    async with Wire(server.url) as wire, acquainted(server, await wire.open()) as backend:
        await refused(backend, await ticket(backend), remedy="join through the engine")
        await backend.control.create_room("lobby", max_participants=1)
        async with await backend.connect(await ticket(backend, "bob")):
            await refused(backend, await ticket(backend), remedy="full")
            (bob,) = await backend.control.list_participants("lobby")
            assert bob.identity == "bob"
        await backend.control.close_room("lobby")


def test_no_log_of_the_native_library_shows_a_ticket(caplog: pytest.LogCaptureFixture) -> None:
    token = access_token.AccessToken("key", SECRET).to_jwt()
    log = logging.getLogger("livekit")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        log.warning("%s: refused: invalid token: %s, error", "signalling", token)
    finally:
        log.setLevel(level)
    assert caplog.messages == ["signalling: refused: invalid token: ..., error"]


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


async def test_a_proxy_of_the_environment_is_named_where_nobody_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    async with stranger(f"ws://127.0.0.1:{free_port()}") as backend:
        await refused(backend, await ticket(backend), remedy="HTTP_PROXY")


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


async def test_a_certificate_that_nobody_trusts_is_what_the_error_says(server: LocalServer, tmp_path: Path) -> None:
    await asyncio.to_thread(server.start)
    async with (
        Proxy(server.port, tls=Authority(tmp_path).server()) as proxy,
        acquainted(server, f"wss://{LOOPBACK}:{proxy.port}") as backend,
    ):
        await unknown(backend, remedy="(?i)certificate.*SSL_CERT_FILE")


Handler = Callable[[web.Request], Awaitable[web.Response]]


async def greet(_: web.Request) -> web.Response:
    return web.Response(text="hello", content_type="text/html")


async def unknown_page(_: web.Request) -> web.Response:
    return web.Response(status=404, text="<h1>not here</h1>", content_type="text/html")


async def older_release(_: web.Request) -> web.Response:
    return web.json_response({"code": "bad_route", "msg": "no handler for path"}, status=404)


@pytest.mark.parametrize(
    ("answer", "said"),
    [(greet, "no LiveKit server"), (unknown_page, "no LiveKit server"), (older_release, "older than")],
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


async def nobody_took_it(request: web.Request) -> web.Response:
    """As LiveKit answers, 3 s after it was asked, about somebody who went at that moment."""
    if request.path.endswith(("/ListParticipants", "/ListRooms")):
        return web.Response(body=b"", content_type="application/protobuf")
    return web.json_response(
        {"code": "unavailable", "msg": "twirp error unknown: no response from servers"}, status=503
    )


async def test_who_goes_while_the_server_is_asked_about_him_is_not_there() -> None:
    async with serving(nobody_took_it) as url, stranger(url) as backend:
        for asking in (
            backend.control.remove_participant("lobby", "ann"),
            backend.control.apply_grant("lobby", "ann", Grant()),
            backend.control.update_participant("lobby", "ann", name="Ann"),
        ):
            with pytest.raises(NotFound) as gone:
                await asking
            assert gone.value.code == ErrorCode.PARTICIPANT_NOT_FOUND


async def test_data_for_a_room_that_is_not_there_has_nobody_to_reach(backend: LiveKitBackend) -> None:
    await backend.control.send_data("nowhere", b"hello")


async def test_a_room_of_an_odd_name_is_one_room_there_and_here(backend: LiveKitBackend) -> None:
    for room in ("a/b?c=d&e#f", "../../etc", "%2e%2e", "лобби 🎙", "a" * 193):
        await backend.control.create_room(room)
        assert room in await backend.control.list_rooms()
        await backend.control.close_room(room)
        with pytest.raises(NotFound):
            await backend.control.apply_grant(room, "ann", Grant())
