"""Who may sign in is the application's own backend's to say. In virtual time, with the backend in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.client.world import BASE_URL, a_project
from utd_core.client import UTDStreamClient
from utd_core.client.remote import RemoteLink
from utd_core.engine import EngineSettings
from utd_core.errors import Banned, Closed, Forbidden, InvalidInput, Unauthenticated, Unavailable
from utd_core.model.commands import CreateBan, GetSeats, JoinRoom
from utd_core.model.stream_type import UTDStreamType
from utd_core.testing import VirtualClock

from .world import RemoteWorld

BACKEND = "http://backend.test/users"
TTL = 100.0


class Backend:
    """The application's own: knows who has logged in, and asks the engine with the project's secret."""

    def __init__(self, world: RemoteWorld) -> None:
        self.world = world
        self.logins = {"login-of-ann": "ann"}
        self.asked = 0
        self.app = Starlette(routes=[Route("/users/api/v1/auth/session", self.sign_in, methods=["POST"])])
        self.engine = httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="http://10.0.0.7:8080")

    async def sign_in(self, request: Request) -> Response:
        self.asked += 1
        wanted = await request.json()
        if self.logins.get(request.headers.get("x-login", "")) != wanted["identity"]:
            return JSONResponse({"message": "log in first", "code": "unauthenticated"}, 401)
        project = a_project(self.world.engine.app_id)
        secret = {"x-app-id": project.app_id, "x-app-secret": project.secret}
        answered = await self.engine.post("/api/v1/auth/session", json=wanted, headers=secret)
        return Response(answered.content, answered.status_code, media_type="application/json")


class TwoServers:
    """The transport to engine and backend."""

    def __init__(self, world: RemoteWorld, backend: Backend) -> None:
        self.urls: list[str] = []
        self._world = world
        self._backend = backend

    async def open(self, urls: Any) -> httpx.AsyncClient:
        engine = await self._world.between.open(urls)
        return httpx.AsyncClient(
            transport=engine._transport,
            mounts={"http://backend.test": httpx.ASGITransport(self._backend.app)},
            timeout=None,
        )

    async def connect(self, url: str) -> Any:
        self.urls.append(url)
        return await self._world.between.connect(url)

    async def aclose(self) -> None:
        """The world closes what there is."""


@pytest.fixture
async def world() -> AsyncIterator[RemoteWorld]:
    async with RemoteWorld(settings=EngineSettings(user_token_ttl=TTL)) as world:
        yield world


@pytest.fixture
async def backend(world: RemoteWorld) -> AsyncIterator[Backend]:
    backend = Backend(world)
    async with backend.engine:
        yield backend


def a_link(world: RemoteWorld, backend: Backend, headers: Any) -> RemoteLink:
    return world.link(token_base_url=BACKEND, token_headers=headers, transport=TwoServers(world, backend))


LOGIN = {"x-login": "login-of-ann"}


async def login() -> Mapping[str, str]:
    return LOGIN


@pytest.mark.parity("U1")
@pytest.mark.parametrize("headers", [LOGIN, login])
async def test_the_own_backend_signs_in_and_the_engine_never_sees_the_login(
    world: RemoteWorld, backend: Backend, headers: Any
) -> None:
    async with aclosing(a_link(world, backend, headers)) as link:
        session = await link.authenticate("ann", name="Ann", device_id="phone")
        assert world.engine.actor_of(session.user_token).name == "Ann"
        await link.execute(JoinRoom(room="lobby", type=UTDStreamType.AUDIO_ROOM, as_host=True))
        assert not any("x-login" in request.headers for request in world.between.requests)


async def test_the_socket_is_where_the_engine_is_for_the_client_and_not_for_the_backend(
    world: RemoteWorld, backend: Backend
) -> None:
    link = a_link(world, backend, LOGIN)
    async with aclosing(link):
        session = await link.authenticate("ann", name="", device_id="phone")
        assert session.ws_url == "ws://10.0.0.7:8080/app/key"
        await link.subscribe("private-user.ann")
        assert isinstance(link._transport, TwoServers)
        (url,) = link._transport.urls
        assert url.startswith(BASE_URL.replace("http", "ws"))


async def test_each_renewal_asks_the_own_backend_anew(world: RemoteWorld, backend: Backend) -> None:
    async with aclosing(a_link(world, backend, LOGIN)) as link:
        await link.authenticate("ann", name="", device_id="phone")
        await world.clock.advance(5 * TTL)
        assert 5 <= backend.asked <= 8
        backend.logins.clear()
        await world.clock.advance(2 * TTL)
        with pytest.raises(Unauthenticated, match="log in first"):
            await world.run(link.execute(GetSeats(room="lobby")))


async def test_what_the_backend_says_is_raised(world: RemoteWorld, backend: Backend) -> None:
    async with aclosing(a_link(world, backend, LOGIN)) as link:
        with pytest.raises(Unauthenticated, match="log in first"):
            await link.authenticate("bob", name="", device_id="phone")
        await world.engine.execute(CreateBan(identity="ann", reason="enough"))
        with pytest.raises(Banned):
            await link.authenticate("ann", name="", device_id="phone")


async def test_a_backend_that_signs_in_somebody_else_is_told_so(world: RemoteWorld, backend: Backend) -> None:
    async def careless(request: Request) -> Response:
        return JSONResponse({"identity": "eve", "user_token": "t", "expires_at": 1.0})

    backend.app = Starlette(routes=[Route("/users/api/v1/auth/session", careless, methods=["POST"])])
    async with aclosing(a_link(world, backend, LOGIN)) as link:
        with pytest.raises(Unauthenticated, match="eve"):
            await link.authenticate("ann", name="", device_id="phone")


async def test_a_login_that_cannot_be_had_is_unauthenticated(world: RemoteWorld, backend: Backend) -> None:
    async def broken() -> Mapping[str, str]:
        raise OSError("the key chain is locked")

    async with aclosing(a_link(world, backend, broken)) as link:
        with pytest.raises(Unauthenticated, match="key chain"):
            await link.authenticate("ann", name="", device_id="phone")


async def test_no_token_of_an_answer_that_cannot_be_read_gets_into_an_error(world: RemoteWorld) -> None:
    answer = {"identity": "ann", "user_token": "a-secret-token"}
    world.between.answer = lambda request: httpx.Response(200, json=answer)
    link = world.link()
    with pytest.raises(Unavailable) as raised:
        await link.authenticate("ann", name="", device_id="phone")
    said = (raised.value, raised.value.__cause__, raised.value.__context__, raised.value.details)
    assert "a-secret-token" not in repr(said) + str(raised.value)
    assert "expires_at" in str(raised.value)
    await link.aclose()


async def test_a_project_whose_key_signs_nobody_in_says_what_to_do(world: RemoteWorld) -> None:
    world.between.answer = lambda request: httpx.Response(
        403, json={"message": "mint with the secret", "code": "appkey_identity_mint_disabled"}
    )
    link = world.link()
    with pytest.raises(Forbidden) as raised:
        await link.authenticate("ann", name="", device_id="phone")
    assert raised.value.code == "appkey_identity_mint_disabled"
    await link.aclose()


class SlowClock:
    """A client's clock that is hours behind the server's, and runs as fast."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.monotonic = clock.monotonic
        self.sleep = clock.sleep

    def now(self) -> float:
        return self._clock.now() - 10_000.0


async def test_what_counts_is_how_long_a_token_lives_and_not_what_time_it_is(world: RemoteWorld) -> None:
    async with aclosing(world.link(clock=SlowClock(world.clock))) as link:
        await link.authenticate("ann", name="", device_id="phone")
        first = link.session
        await world.clock.advance(TTL * 0.9)
        assert link.session is not first


async def test_a_client_that_cannot_sign_in_leaves_nothing_behind(world: RemoteWorld) -> None:
    world.between.away = True
    with pytest.raises(Unavailable):
        async with UTDStreamClient(link=world.link(), identity="ann"):
            pytest.fail("nobody is signed in")


async def test_before_the_sign_in_and_after_the_end_nothing_can_be_done(world: RemoteWorld) -> None:
    link = world.link()
    with pytest.raises(Unauthenticated):
        await link.execute(GetSeats(room="lobby"))
    with pytest.raises(Unauthenticated):
        await link.subscribe("private-user.ann")
    await link.aclose()
    await link.aclose()
    for operation in (link.authenticate("ann", name="", device_id="d"), link.execute(GetSeats(room="lobby"))):
        with pytest.raises(Closed):
            await operation


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"app_id": "a", "app_key": "k"},
        {"base_url": "http://x"},
        {"app_id": "a", "base_url": "http://x"},
        {"app_id": "a", "app_key": "k", "base_url": "x"},
        {"app_id": "a", "app_key": "k\n", "base_url": "http://x"},
        {"app_id": 5, "app_key": "k", "base_url": "http://x"},
        {"app_id": "a", "app_key": "k", "base_url": "http://x", "media": 5},
        {"app_id": "a", "app_key": "k", "base_url": "http://x", "token_base_url": "x"},
        {"engine": object(), "token_base_url": "http://x"},
        {"engine": object(), "base_url": "http://x", "app_id": "a", "app_key": "k"},
    ],
)
def test_a_client_is_told_how_it_is_made(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        UTDStreamClient(**fields)


def test_a_misspelt_option_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        UTDStreamClient("a", "k", base_url="http://x", micrphone=None)  # type: ignore[call-overload]  # that is it
