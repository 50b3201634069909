"""Which web pages may call, as a browser asks: preflights, and what is written on answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from utd_core.errors import ErrorCode, InvalidInput
from utd_core.model.command import COMMANDS
from utd_core.server import AppSettings
from utd_core.server.pusher import PusherMount

from .world import API, World, refused

SHOP, OTHER = "https://shop.example.com", "https://evil.example.com"
LISTED = AppSettings(origins=(SHOP, "http://localhost:3000"))


def a_preflight(
    origin: str = SHOP, method: str = "POST", headers: str = "authorization,content-type"
) -> dict[str, Any]:
    """What a browser sends before a page's request."""
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
        "Sec-Fetch-Mode": "cors",
    }


async def ask(world: World, path: str = f"{API}/rooms", **asked: str) -> httpx.Response:
    return await world.http.options(path, headers=a_preflight(**asked))


def marks(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


def items(response: httpx.Response, name: str) -> set[str]:
    return {item.strip() for item in response.headers[f"access-control-{name}"].split(",")}


class TestAPreflight:
    @pytest.mark.parametrize("name", COMMANDS)
    async def test_of_a_listed_page_lets_it_send_every_command(self, name: str) -> None:
        spec = COMMANDS[name].spec
        async with World(settings=LISTED) as world:
            path = API + spec.path.replace("{", "").replace("}", "")
            answer = await ask(world, path, method=spec.verb, headers="authorization,content-type,idempotency-key")
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert spec.verb in items(answer, "allow-methods")
        assert {"authorization", "content-type", "idempotency-key", "x-app-id", "x-app-key"} <= items(
            answer, "allow-headers"
        )
        assert int(answer.headers["access-control-max-age"]) > 0
        assert answer.headers["vary"] == "Origin"

    @pytest.mark.parametrize("path", ["/api/v1/channels/auth", "/api/v1/channels/user-auth"])
    async def test_lets_it_have_its_subscriptions_signed(self, path: str) -> None:
        async with World(settings=LISTED) as world:
            world.app = type(world.app)(world.host, mounts=[PusherMount(world.host)], settings=LISTED)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="http://x") as http:
                answer = await http.options(path, headers=a_preflight())
                assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, SHOP)
                # Refusals may be read by the page, too: it has to know why.
                answer = await http.post(path, headers={"Origin": SHOP})
                assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, SHOP)
            await world.app.aclose()

    async def test_never_lets_a_page_send_the_projects_secret(self) -> None:
        async with World(settings=LISTED) as world:
            answer = await ask(world, headers="x-app-id,x-app-secret")
        assert "x-app-secret" not in items(answer, "allow-headers")
        assert "*" not in items(answer, "allow-headers")

    async def test_never_lets_cookies_in(self) -> None:
        for settings in (LISTED, AppSettings(origins=("*",))):
            async with World(settings=settings) as world:
                assert "access-control-allow-credentials" not in (await ask(world)).headers

    @pytest.mark.parametrize(
        "origin", [OTHER, "null", "http://shop.example.com", f"{SHOP}:8443", f"{SHOP}.evil.example.com", "", "*"]
    )
    async def test_of_any_other_page_is_refused(self, origin: str) -> None:
        async with World(settings=LISTED) as world:
            answer = await ask(world, origin=origin)
        refused(answer, 403, ErrorCode.FORBIDDEN)
        assert marks(answer) == {}
        assert answer.headers["vary"] == "Origin"

    async def test_needs_no_credential_and_takes_nothing_from_a_bucket(self) -> None:
        async with World(settings=LISTED) as world:
            for _ in range(200):
                assert (await ask(world)).status_code == 204

    async def test_is_what_a_browser_asks_and_no_other_options(self) -> None:
        async with World(settings=LISTED) as world:
            refused(await world.http.options(f"{API}/rooms"), 405, ErrorCode.METHOD_NOT_ALLOWED)
            refused(await world.http.options(f"{API}/rooms", headers={"Origin": SHOP}), 405, "method_not_allowed")

    @pytest.mark.parametrize("path", ["/apps/alpha/events", "/metrics", "/health", "/nothing"])
    async def test_of_what_is_none_of_a_pages_business_is_answered_as_before(self, path: str) -> None:
        async with World(settings=LISTED) as world:
            answer = await ask(world, path)
        assert answer.status_code in (404, 405)
        assert marks(answer) == {}


class TestAnAnswer:
    async def test_to_a_listed_page_may_be_read_by_it(self) -> None:
        async with World(settings=LISTED) as world:
            for caller, status in ((world.server(), 200), (world.nobody(), 401)):
                answer = await caller.send("GET", f"{API}/rooms", headers={"Origin": SHOP})
                assert answer.status_code == status
                assert answer.headers["access-control-allow-origin"] == SHOP
                assert {"x-request-id", "retry-after", "x-utd-place"} <= items(answer, "expose-headers")

    async def test_to_another_page_may_not(self) -> None:
        async with World(settings=LISTED) as world:
            answer = await world.server().send("GET", f"{API}/rooms", headers={"Origin": OTHER})
        assert answer.status_code == 200, "it is the browser that keeps it from the page"
        assert marks(answer) == {}
        assert answer.headers["vary"] == "Origin"

    async def test_to_somebody_who_is_no_browser_says_that_it_might_differ(self) -> None:
        async with World(settings=LISTED) as world:
            answer = await world.server().get("/rooms")
        assert marks(answer) == {}
        assert answer.headers["vary"] == "Origin"

    async def test_to_any_page_where_all_may(self) -> None:
        async with World(settings=AppSettings(origins=("*",))) as world:
            assert (await ask(world, origin=OTHER)).status_code == 204
            answer = await world.server().send("GET", f"{API}/rooms", headers={"Origin": OTHER})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "vary" not in answer.headers

    async def test_of_a_failure_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with World(settings=LISTED) as world:

            async def fails(*_: object, **__: object) -> None:
                raise RuntimeError

            monkeypatch.setattr(world.engine, "execute", fails)
            answer = await world.server().send("GET", f"{API}/rooms", headers={"Origin": SHOP})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (500, SHOP)


async def test_without_a_list_nothing_of_it_is_there(world: World) -> None:
    refused(await ask(world), 405, ErrorCode.METHOD_NOT_ALLOWED)
    answer = await world.server().send("GET", f"{API}/rooms", headers={"Origin": SHOP})
    assert marks(answer) == {}
    assert "vary" not in answer.headers


async def test_a_preflight_is_one_line_of_the_log_without_its_path(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "utd_core.server")
    async with World(settings=LISTED) as world:
        await ask(world, f"{API}/rooms/planted-name")
    (record,) = [record for record in caplog.records if "OPTIONS" in record.getMessage()]
    assert "(preflight) 204" in record.getMessage()
    assert "planted-name" not in record.getMessage()


@pytest.mark.parametrize(
    "origin", ["shop.example.com", "https://shop.example.com/", "https://Shop.example.com", "https://a b", "null", ""]
)
def test_what_is_no_origin_is_refused_when_the_server_is_made(origin: str) -> None:
    from utd_core.server.cors import Cors

    with pytest.raises(InvalidInput, match="an origin is"):
        Cors((origin,))
