"""Who is calling, and what each credential is good for."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest

from utd_core.errors import ErrorCode
from utd_core.model.commands import CreateBan
from utd_core.server import ProjectFlags

from .world import API, UNLIMITED, Caller, World, done, refused

ROOMS = f"{API}/rooms"


def with_headers(world: World, *pairs: tuple[str, str]) -> Any:
    """A request with exactly these headers, which may repeat."""
    return world.http.get(ROOMS, headers=list(pairs))


class TestTheSecret:
    async def test_is_the_application_server(self, world: World) -> None:
        made = done(await world.server().post("/rooms", room="lobby", type="audio_room", owner="ann"))
        assert made["room"]["roles"] == {"ann": "owner"}

    @pytest.mark.parity("G12")
    async def test_mints_sessions_for_anybody(self, world: World) -> None:
        session = done(await world.server().post("/auth/session", identity="ann", device_id="phone"))
        actor = world.engine.actor_of(session["user_token"])
        assert (actor.identity, actor.device) == ("ann", "phone")

    async def test_that_is_being_rotated_out_still_holds(self, world: World) -> None:
        old = Caller(world, {"X-App-Id": "alpha", "X-App-Secret": "old-secret-of-alpha"})
        done(await old.get("/rooms"))

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-App-Id": "alpha", "X-App-Secret": "secret-of-beta"},
            {"X-App-Id": "beta", "X-App-Secret": "secret-of-alpha"},
            {"X-App-Id": "gamma", "X-App-Secret": "secret-of-alpha"},
            {"X-App-Id": "alpha", "X-App-Secret": ""},
            {"X-App-Id": "alpha", "X-App-Secret": "key-of-alpha"},
            {"X-App-Id": "alpha", "X-App-Secret": "secret-of-alph"},
            {"X-App-Id": "alpha", "X-App-Secret": "secret-of-alpha-"},
            {"X-App-Id": "alpha", "X-App-Secret": "sécret".encode()},
            {"X-App-Id": "", "X-App-Secret": "secret-of-alpha"},
            {"X-App-Secret": "secret-of-alpha"},
            {"X-App-Id": "alpha", "X-App-Key": "key-of-beta"},
            {"X-App-Key": "key-of-alpha"},
        ],
    )
    async def test_of_no_project_is_refused_without_saying_why(self, world: World, headers: dict[str, Any]) -> None:
        response = await Caller(world, headers).get("/rooms")
        refused(response, 401, ErrorCode.UNAUTHENTICATED)
        assert response.json()["message"].startswith("no project has this credential")

    @pytest.mark.parametrize("headers", [{}, {"X-App-Id": "alpha"}])
    async def test_that_is_missing_is_asked_for(self, world: World, headers: dict[str, str]) -> None:
        response = await Caller(world, headers).get("/rooms")
        refused(response, 401, ErrorCode.UNAUTHENTICATED)
        assert response.headers["www-authenticate"] == "Bearer"


class TestTheKey:
    async def test_mints_sessions_where_the_project_lets_it(self, world: World) -> None:
        done(await world.key().post("/auth/session", identity="ann"))

    @pytest.mark.parity("G12")
    async def test_mints_none_where_it_does_not(self, world: World) -> None:
        world.change(flags=ProjectFlags())
        response = await world.key().post("/auth/session", identity="ann")
        refused(response, 403, ErrorCode.APPKEY_IDENTITY_MINT_DISABLED)

    async def test_does_nothing_else(self, world: World) -> None:
        refused(await world.key().get("/rooms"), 403, ErrorCode.FORBIDDEN)
        response = await world.key().post("/token", room="lobby", type="audio_room", identity="ann")
        refused(response, 403, ErrorCode.FORBIDDEN)


class TestTheUserToken:
    async def test_is_its_identity(self, world: World) -> None:
        ann = await world.user("ann")
        made = done(await ann.post("/rooms", room="lobby", type="audio_room"))
        assert made["room"]["roles"] == {"ann": "owner"}

    async def test_says_of_which_project_it_is_or_its_caller_does(self, world: World) -> None:
        for app in ("alpha", "beta"):
            ann = await world.user("ann", app=app)
            done(await ann.get("/rooms"))
            done(await Caller(world, {**ann.headers, "X-App-Id": app}).get("/rooms"))

    async def test_of_another_project_is_refused(self, world: World) -> None:
        ann = await world.user("ann", app="beta")
        stranger = Caller(world, {**ann.headers, "X-App-Id": "alpha"})
        refused(await stranger.get("/rooms"), 401, ErrorCode.UNAUTHENTICATED)

    async def test_refreshes_itself_and_nobody_else(self, world: World) -> None:
        ann = await world.user("ann")
        done(await ann.post("/auth/session", identity="ann"))
        refused(await ann.post("/auth/session", identity="ben"), 403, ErrorCode.FORBIDDEN)

    async def test_joins_for_nobody_else(self, world: World) -> None:
        ann = await world.user("ann")
        response = await ann.post("/token", room="lobby", type="audio_room", as_host=True, identity="ben")
        refused(response, 403, ErrorCode.FORBIDDEN)
        refused(await ann.post("/rooms", room="other", type="audio_room", owner="ben"), 403, ErrorCode.FORBIDDEN)

    async def test_that_has_expired_is_refused(self, world: World) -> None:
        ann = await world.user("ann")
        await world.clock.advance(43_199)
        done(await ann.get("/rooms"))
        await world.clock.advance(2)
        refused(await ann.get("/rooms"), 401, ErrorCode.UNAUTHENTICATED)

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
    async def test_may_be_announced_in_any_case(self, world: World, scheme: str) -> None:
        ann = await world.user("ann")
        token = ann.headers["Authorization"].partition(" ")[2]
        done(await Caller(world, {"Authorization": f"{scheme} {token}"}).get("/rooms"))

    @pytest.mark.parametrize(
        "value", ["", "Bearer", "Bearer ", "Basic YTpi", "Token abc", "Bearer a.b.c", "Bearer ..", "Bearer x", "é x"]
    )
    async def test_that_is_none_is_refused(self, world: World, value: str) -> None:
        response = await Caller(world, {"Authorization": value.encode()}).get("/rooms")  # type: ignore[dict-item]
        refused(response, 401, ErrorCode.UNAUTHENTICATED)

    async def test_that_is_forged_is_refused(self, world: World) -> None:
        ann = await world.user("ann")
        head, body, mac = ann.headers["Authorization"].partition(" ")[2].split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        other = encoded({**claims, "sub": "ben"})
        none = encoded({"alg": "none", "typ": "JWT"})
        forged = {
            "another identity": f"{head}.{other}.{mac}",
            "no algorithm": f"{none}.{body}.",
            "no algorithm, with a signature": f"{none}.{body}.{mac}",
            "another algorithm": jwt.encode(claims, "k" * 64, "HS512"),
            "another key": jwt.encode(claims, "k" * 64, "HS256"),
            "the project's secret as the key": jwt.encode(claims, "secret-of-alpha" * 3, "HS256"),
            "cut off": ann.headers["Authorization"].partition(" ")[2][:-1],
            "cut off before the signature": f"{head}.{body}",
            "claims that are no object": f"{head}.{encoded([1])}.{mac}",
            "an app that is no string": f"{head}.{encoded({**claims, 'app': 7})}.{mac}",
            "claims without end": f"{head}.{encoded({**claims, 'pad': 'x' * 20_000})}.{mac}",
            "deep claims": f"{head}.{base64.urlsafe_b64encode(b'[' * 5_000).decode()}.{mac}",
        }
        for why, token in forged.items():
            response = await Caller(world, {"Authorization": f"Bearer {token}"}).get("/rooms")
            assert response.status_code == 401, why

    async def test_of_somebody_who_is_banned_signs_in_and_joins_no_more(self, world: World) -> None:
        ann = await world.user("ann")
        await world.engine.execute(CreateBan(identity="ann", reason="spam"))
        refused(await ann.post("/auth/session", identity="ann"), 403, ErrorCode.BANNED)
        details = refused(await ann.post("/token", room="x", type="audio_room", as_host=True), 403, ErrorCode.BANNED)
        assert (details["scope"], details["reason"]) == ("project", "spam")


class TestSeveralCredentials:
    @pytest.mark.parametrize(
        "more",
        [
            [("x-app-secret", "secret-of-alpha"), ("x-app-key", "key-of-alpha")],
            [("x-app-secret", "secret-of-alpha"), ("authorization", "Bearer x")],
            [("x-app-key", "key-of-alpha"), ("authorization", "Bearer x")],
            [("x-app-secret", "secret-of-alpha"), ("x-app-secret", "secret-of-alpha")],
            [("authorization", "Bearer x"), ("authorization", "Bearer y")],
            [("x-app-secret", "secret-of-alpha"), ("x-app-id", "beta")],
        ],
    )
    async def test_are_refused_even_if_all_are_good(self, world: World, more: list[tuple[str, str]]) -> None:
        response = await with_headers(world, ("x-app-id", "alpha"), *more)
        refused(response, 401, ErrorCode.AMBIGUOUS_CREDENTIALS)
        assert "secret-of" not in response.text


class TestASuspendedProject:
    async def test_says_so_to_its_own(self, world: World) -> None:
        ann = await world.user("ann")
        world.change(suspended=True)
        for caller in (world.server(), world.key(), ann):
            refused(await caller.get("/rooms"), 403, ErrorCode.PROJECT_SUSPENDED)

    async def test_says_nothing_to_strangers(self, world: World) -> None:
        world.change(suspended=True)
        stranger = Caller(world, {"X-App-Id": "alpha", "X-App-Secret": "guess"})
        refused(await stranger.get("/rooms"), 401, ErrorCode.UNAUTHENTICATED)

    async def test_leaves_the_others_alone(self, world: World) -> None:
        world.change(suspended=True)
        done(await world.server("beta").get("/rooms"))
        world.change(limits=UNLIMITED)
        done(await world.server().get("/rooms"))


class TestProjects:
    async def test_do_not_see_each_other(self, world: World) -> None:
        done(await world.server("alpha").post("/rooms", room="lobby", type="audio_room"))
        refused(await world.server("beta").get("/rooms/lobby"), 404, ErrorCode.ROOM_NOT_FOUND)


def encoded(claims: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
