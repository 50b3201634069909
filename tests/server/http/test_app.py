"""The application around the commands: its beginning and end, its mounts, sockets, request ids, and what fails."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount as StarletteMount
from starlette.types import Receive, Scope, Send

from utd_core.engine import Engine
from utd_core.errors import Conflict, ErrorCode, InvalidInput, StoreFailed, UTDStreamException
from utd_core.model.commands import CreateRoom, CreateSession, ListRooms
from utd_core.model.stream_type import UTDStreamType
from utd_core.server import App, AppSettings, SingleHost, asgi
from utd_core.server.exchange import REQUEST_ID, Exchange
from utd_core.server.paths import path_of, segments_of

from .world import API, Caller, World, a_project, done, refused

ROOM = CreateRoom(room="lobby", type=UTDStreamType.AUDIO_ROOM)


class Part:
    """A mount that tells what happens to it."""

    def __init__(self, *prefixes: str, fails: Exception | None = None, late: bool = False) -> None:
        self.prefixes: Sequence[str] = prefixes
        self.events: list[str] = []
        self.fails = fails
        self.late = late

    async def open(self) -> None:
        self.events.append("open")
        await asyncio.sleep(0)

    async def aclose(self) -> None:
        self.events.append("close")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.events.append(f"{scope['type']} {path_of(scope)}")
        if self.late:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if self.fails is not None:
            raise self.fails
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4000})
        else:
            await PlainTextResponse(f"{segments_of(scope)}")(scope, receive, send)


class Sent(list[Any]):
    """What an application sent."""

    async def __call__(self, message: Any) -> None:
        self.append(message)


async def of(*messages: Any) -> AsyncIterator[Any]:
    for message in messages:
        yield message


def receiving(*messages: Any) -> Receive:
    return of(*messages).__anext__


async def lifespan(app: App) -> Sent:
    """What a server hears that starts the application, and at once stops it."""
    sent = Sent()
    receive = receiving({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await app({"type": "lifespan"}, receive, sent)
    return sent


class TestTheBeginningAndTheEnd:
    async def test_are_those_of_the_server_that_runs_it(self) -> None:
        events: list[str] = []

        @asynccontextmanager
        async def resource() -> AsyncIterator[None]:
            events.append("in")
            yield
            events.append("out")

        part = Part("/x/")
        async with World() as world:
            app = App(world.host, mounts=[part], resources=[resource()])
            sent = await lifespan(app)
        assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert events == ["in", "out"]
        assert part.events == ["open", "close"]

    async def test_of_an_engine_that_nobody_opened_are_those_of_the_application(self) -> None:
        engine = Engine("mock", app_id="alpha")
        sent = await lifespan(asgi(engine, a_project("alpha")))
        assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert not engine.is_open

    async def test_of_an_engine_that_is_open_are_its_owners(self) -> None:
        async with Engine("mock", app_id="alpha") as engine:
            await lifespan(asgi(engine, a_project("alpha")))
            assert engine.is_open

    async def test_that_fail_are_told_to_the_server_and_leave_nothing_open(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        opened = Engine("mock", app_id="alpha")
        missing = Engine("no-such-backend")
        app = App(SingleHost(opened, a_project("alpha")), resources=[opened, missing])
        sent = Sent()
        await app({"type": "lifespan"}, receiving({"type": "lifespan.startup"}), sent)
        assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
        assert "no-such-backend" in sent[0]["message"]
        assert not opened.is_open

    async def test_of_mounts_come_with_the_first_request_where_no_server_tells(self) -> None:
        part = Part("/x/")
        async with World(mounts=(part,)) as world:
            assert part.events == []
            await asyncio.gather(*(world.nobody().send("GET", "/health") for _ in range(5)))
            assert part.events == ["open"]
            await world.app.aclose()
            await world.app.aclose()
            assert part.events == ["open", "close"]

    async def test_is_unavailable_after_its_end(self, world: World) -> None:
        await world.app.aclose()
        response = await world.server().get("/rooms")
        refused(response, 503, ErrorCode.UNAVAILABLE)
        assert response.headers["retry-after"] == "1"

    async def test_closed_before_it_was_opened_stays_closed(self) -> None:
        part = Part("/x/")
        async with World(mounts=(part,)) as world:
            await world.app.aclose()
            refused(await world.nobody().send("GET", "/health"), 503, ErrorCode.UNAVAILABLE)
        assert part.events == []

    async def test_is_unavailable_while_its_engine_is_closed(self, world: World) -> None:
        ann = await world.user("ann")
        await world.engine.aclose()
        for caller in (world.server(), ann):
            refused(await caller.get("/rooms"), 503, ErrorCode.UNAVAILABLE)

    def test_are_of_one_project(self) -> None:
        with pytest.raises(InvalidInput, match="alpha"):
            asgi(Engine("mock", app_id="alpha"), a_project("beta"))


class TestMounts:
    @pytest.mark.parametrize(
        ("path", "is_its"),
        [("/x/", True), ("/x/y/z", True), ("/x", False), ("/xy", False), ("/y/x/", False), ("/metrics", True),
         ("/metrics/", False), ("/metricsx", False), ("/api/v1/x/y", True)],
    )  # fmt: skip
    async def test_serve_what_is_below_their_prefixes(self, path: str, is_its: bool) -> None:
        part = Part("/x/", "/metrics", "/api/v1/x/")
        async with World(mounts=(part,)) as world:
            response = await world.nobody().send("GET", path)
            assert (response.status_code == 200) is is_its
            if is_its:
                assert part.events[1:] == [f"http {path}"]
                assert response.headers["x-request-id"]

    async def test_may_raise_what_they_refuse(self) -> None:
        async with World(mounts=(Part("/x/", fails=Conflict("not now; try later")),)) as world:
            response = await world.nobody().send("GET", "/x/")
            refused(response, 409, ErrorCode.CONFLICT)

    async def test_serve_sockets(self) -> None:
        part, sent = Part("/x/"), Sent()
        async with World(mounts=(part,)) as world:
            await world.app(socket("/x/1"), receiving(), sent)
        assert part.events[:2] == ["open", "websocket /x/1"]
        assert sent == [{"type": "websocket.close", "code": 4000}]


def socket(path: str, **more: Any) -> Scope:
    return {"type": "websocket", "path": path, "raw_path": path.encode(), "headers": [], "scheme": "ws", **more}


class TestSockets:
    async def test_to_nowhere_are_not_opened(self, world: World) -> None:
        sent = Sent()
        await world.app(socket("/x"), receiving({"type": "websocket.connect"}), sent)
        assert sent == [{"type": "websocket.close", "code": 1008}]

    async def test_to_nowhere_are_told_so_where_the_server_can(self, world: World) -> None:
        sent = Sent()
        scope = socket("/x", extensions={"websocket.http.response": {}})
        await world.app(scope, receiving({"type": "websocket.connect"}), sent)
        assert [message["type"] for message in sent] == [
            "websocket.http.response.start",
            "websocket.http.response.body",
        ]
        assert sent[0]["status"] == 404

    async def test_to_a_server_that_has_ended_are_not_opened(self) -> None:
        part, sent = Part("/x/"), Sent()
        async with World(mounts=(part,)) as world:
            await world.app.aclose()
            scope = socket("/x/1", extensions={"websocket.http.response": {}})
            await world.app(scope, receiving({"type": "websocket.connect"}), sent)
        assert sent[0]["status"] == 503
        assert part.events == []


class TestWithinAnotherApplication:
    @pytest.mark.parametrize("prefix", ["/engine", "/a/b"])
    async def test_works_below_any_path(self, prefix: str) -> None:
        part = Part("/app/")
        async with World(mounts=(part,)) as world:
            outer = Starlette(routes=[StarletteMount(prefix, world.app)])
            async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://x") as http:
                headers = world.server().headers
                made = await http.post(
                    f"{prefix}{API}/rooms", json={"room": "a/b", "type": "audio_room"}, headers=headers
                )
                assert made.status_code == 201
                assert done(await http.get(f"{prefix}{API}/rooms/a%2Fb", headers=headers))["room"]["name"] == "a/b"
                assert (await http.get(f"{API}/rooms", headers=headers)).status_code == 404
                session = await http.post(f"{prefix}{API}/auth/session", json={"identity": "ann"}, headers=headers)
                assert session.json()["ws_url"] == f"ws://x{prefix}/app/key-of-alpha"
                assert (await http.get(f"{prefix}/app/x")).text == "['app', 'x']"
                page = done(await http.get(f"{prefix}/openapi.json"))
                assert page["servers"] == [{"url": prefix}]

    async def test_shares_its_engine_with_it(self) -> None:
        async with Engine("mock", app_id="alpha") as engine:
            app = engine.asgi(a_project("alpha"))
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
                await engine.execute(ROOM)
                token = (await engine.execute(CreateSession(identity="ann"))).user_token
                page = done(await http.get(f"{API}/rooms", headers={"Authorization": f"Bearer {token}"}))
                assert [room["name"] for room in page["data"]] == ["lobby"]
            await app.aclose()

    async def test_needs_no_project_for_users(self) -> None:
        async with Engine("mock") as engine:
            app = engine.asgi()
            async with app, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
                token = (await engine.execute(CreateSession(identity="ann"))).user_token
                done(await http.get(f"{API}/rooms", headers={"Authorization": f"Bearer {token}"}))

    def test_says_what_to_install_where_the_extra_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "starlette"]:
            monkeypatch.setitem(sys.modules, name, None)
        for name in [name for name in sys.modules if name.startswith("utd_core.server")]:
            monkeypatch.delitem(sys.modules, name)
        with pytest.raises(UTDStreamException, match=r"utd-core\[server\]") as caught:
            Engine("mock").asgi()
        assert caught.value.code == ErrorCode.MISSING_EXTRA


class TestEventAddresses:
    @pytest.mark.parametrize("events", [True, False])
    async def test_are_told_with_every_token_where_there_are_events(self, events: bool) -> None:
        async with World(mounts=(Part("/app/"),) if events else ()) as world:
            url = "ws://rtc.example.com/app/key-of-alpha" if events else None
            ann = await world.user("ann")
            assert done(await ann.post("/auth/session", identity="ann"))["ws_url"] == url
            ticket = done(await ann.post("/token", room="lobby", type="audio_room", as_host=True))
            assert ticket["ws_url"] == url
            call = done(await ann.post("/calls", type="audio_call", callee="ben"))
            assert call["ticket"]["ws_url"] == url
            assert done(await world.server().get(f"/calls/{call['call_id']}"))["ticket"] is None


class TestRequestIds:
    @pytest.mark.parametrize("given", ["a", "8f14e45f-ceea-467f-a0e6-5b3a1e1d3c55", "A.b_c:d-1", "x" * 64])
    async def test_that_are_well_formed_are_kept(self, world: World, given: str) -> None:
        for path in ("/health", "/nothing", f"{API}/rooms"):
            response = await world.nobody().send("GET", path, headers={"X-Request-Id": given})
            assert response.headers["x-request-id"] == given

    @pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a/b", 'a"b', "é", "a\tb"])
    async def test_that_are_not_are_replaced(self, world: World, given: str) -> None:
        response = await world.nobody().send("GET", "/health", headers={"X-Request-Id": given.encode()})
        assert response.headers["x-request-id"] not in ("", given)

    async def test_are_made_anew_for_each_request(self, world: World) -> None:
        ids = {(await world.nobody().send("GET", "/health")).headers["x-request-id"] for _ in range(100)}
        assert len(ids) == 100

    async def test_are_known_to_the_code_that_serves_the_request_and_to_no_other(self) -> None:
        seen: list[str] = []

        class Looking(Part):
            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                seen.append(REQUEST_ID.get())
                await super().__call__(scope, receive, send)

        async with World(mounts=(Looking("/x/"),)) as world:
            await world.nobody().send("GET", "/x/", headers={"X-Request-Id": "mine"})
        assert seen == ["mine"]
        assert REQUEST_ID.get() == ""

    async def test_are_in_the_log_of_every_request(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "utd_core.server"):
            done(
                await world.server().send(
                    "POST", f"{API}/rooms", json={"room": "a", "type": "audio_room"}, headers={"X-Request-Id": "mine"}
                )
            )
            refused(await world.server().get("/rooms/none"), 404, ErrorCode.ROOM_NOT_FOUND)
            await world.nobody().send("GET", "/nothing/here")
        made, missing, lost = caplog.records
        assert made.getMessage().startswith("POST /api/v1/rooms 201 ")
        assert made.getMessage().endswith(" [mine]")
        assert {name: vars(made)[name] for name in ("request_id", "command", "app_id", "credential", "status")} == {
            "request_id": "mine",
            "command": "create_room",
            "app_id": "alpha",
            "credential": "secret",
            "status": 201,
        }
        assert "GET /api/v1/rooms/{room} 404" in missing.getMessage()
        assert "room_not_found" in missing.getMessage()
        assert "(no route) 404" in lost.getMessage()


class TestObservers:
    async def test_hear_of_every_request_once_it_is_answered(self) -> None:
        seen: list[Exchange] = []
        async with World() as world:
            app = App(world.host, observers=[seen.append])
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
                await http.get(f"{API}/rooms", headers=world.server().headers)
                await http.post(f"{API}/rooms", headers=world.server().headers)
        ok, wrong = seen
        assert (ok.command, ok.status, ok.code, ok.app_id) == ("list_rooms", 200, "", "alpha")
        assert (wrong.command, wrong.status, wrong.code) == ("create_room", 422, "invalid_input")
        assert ok.seconds > 0
        assert ok.request_id != wrong.request_id


class TestWhatFails:
    async def test_by_a_mistake_of_ours_says_nothing_and_is_logged(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError("the password is 1234")

        monkeypatch.setattr(world.engine, "execute", broken)
        response = await world.server().send("GET", f"{API}/rooms", headers={"X-Request-Id": "mine"})
        refused(response, 500, ErrorCode.INTERNAL)
        assert "1234" not in response.text
        assert "RuntimeError" not in response.text
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert "mine" in record.getMessage()
        assert record.exc_info is not None

    async def test_in_the_store_is_told_without_what_it_is(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def failing(*_: Any, **__: Any) -> Any:
            raise StoreFailed("the store '/srv/utd.db' failed: the disk is full", details={"reason": "SQLITE_FULL"})

        monkeypatch.setattr(world.engine, "execute", failing)
        response = await world.server().get("/rooms")
        refused(response, 503, ErrorCode.STORE_FAILED)
        assert "/srv" not in response.text
        assert "SQLITE" not in response.text
        (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert "the store '/srv/utd.db' failed: the disk is full" in record.getMessage(), "the log says which and why"
        assert response.headers["retry-after"] == "1"

    async def test_after_the_answer_began_ends_the_connection(self, caplog: pytest.LogCaptureFixture) -> None:
        errors: list[Exception] = [RuntimeError("ours"), UTDStreamException("typed")]
        for error in errors:
            async with World(mounts=(Part("/x/", fails=error, late=True),)) as world:
                with pytest.raises(type(error)):
                    await world.nobody().send("GET", "/x/")

    async def test_because_the_client_went_away_is_not_answered(self, world: World) -> None:
        sent, seen = Sent(), list[Exchange]()
        app = App(world.host, observers=[seen.append])
        headers = [(name.lower().encode(), value.encode()) for name, value in world.server().headers.items()]
        scope = {
            "type": "http",
            "method": "POST",
            "path": f"{API}/rooms",
            "raw_path": f"{API}/rooms".encode(),
            "query_string": b"",
            "scheme": "http",
            "headers": [*headers, (b"content-length", b"10"), (b"content-type", b"application/json")],
        }
        receive = receiving({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"})
        await app(scope, receive, sent)
        assert sent == []
        assert [exchange.status for exchange in seen] == [0]
        assert not (await world.engine.execute(ListRooms())).data


class TestTrustedProxies:
    async def test_tell_where_clients_are_and_what_they_asked_for(self) -> None:
        headers = {
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "public.example.com",
        }
        for trusted, url, client in (
            (("127.0.0.1",), "wss://public.example.com/app/key-of-alpha", "203.0.113.9"),
            ((), "ws://rtc.example.com/app/key-of-alpha", "127.0.0.1"),
        ):
            seen: list[Exchange] = []
            async with World() as world:
                settings = AppSettings(trusted_proxies=trusted)
                app = App(world.host, mounts=[Part("/app/")], observers=[seen.append], settings=settings)
                world.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rtc.example.com")
                caller = Caller(world, {**world.server().headers, **headers})
                session = done(await caller.post("/auth/session", identity="ann"))
                assert session["ws_url"] == url
                assert seen[0].client == client
                await app.aclose()
