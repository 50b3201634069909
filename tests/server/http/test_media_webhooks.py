"""What the media server posts reaches the media backend of every node, and nothing else does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from utd_core import Engine
from utd_core.bus import LocalMessages
from utd_core.errors import Closed, Unauthenticated, Unavailable
from utd_core.server.app import App
from utd_core.server.media_webhooks import MAX_BODY, PATH, MediaWebhooks
from utd_core.server.projects import Project, SingleHost
from utd_core.testing.wait import eventually

BODY = b'{"event":\n"participant_left"}'
SIGNED = {"Authorization": "signed"}


class Backend:
    """Takes what is signed, and keeps it."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.is_closed = False

    def take(self, body: bytes, headers: Mapping[str, str]) -> None:
        if self.is_closed:
            raise Closed("the backend was closed")
        if headers.get("authorization") != "signed":
            raise Unauthenticated("this is not signed")
        self.taken.append(body)


class Away(LocalMessages):
    """The other nodes cannot be reached."""

    async def publish(self, topic: str, message: bytes) -> int:
        raise Unavailable("the bus is away")


def application(engine: Engine, backend: Backend, bus: LocalMessages | None = None) -> App:
    return App(
        SingleHost(engine, Project("embedded", "key-of-the-project", ("secret-of-the-project",))),
        mounts=[MediaWebhooks(backend.take, bus)],
    )


def web(app: App) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node")


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
async def client(utd_engine: Engine, backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    async with application(utd_engine, backend) as app, web(app) as client:
        yield client


async def test_a_delivery_reaches_the_backend_as_it_came(client: httpx.AsyncClient, backend: Backend) -> None:
    answer = await client.post(PATH, content=BODY, headers=SIGNED)
    assert answer.status_code == 204
    assert backend.taken == [BODY]


async def test_what_the_backend_does_not_know_is_refused(client: httpx.AsyncClient, backend: Backend) -> None:
    answer = await client.post(PATH, content=BODY)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert backend.taken == []


async def test_more_than_a_webhook_holds_is_refused(client: httpx.AsyncClient, backend: Backend) -> None:
    answer = await client.post(PATH, content=b" " * (MAX_BODY + 1), headers=SIGNED)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert backend.taken == []


async def test_it_takes_posts_only(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_backend_without_webhooks_says_so(utd_engine: Engine) -> None:
    async with utd_engine.asgi() as app, web(app) as client:
        answer = await client.post(PATH, content=BODY, headers=SIGNED)
        assert answer.json()["code"] == "unsupported"
        assert "webhooks" in answer.json()["message"]


async def test_every_node_takes_what_one_was_told_once(utd_engine: Engine) -> None:
    bus, here, there = LocalMessages(), Backend(), Backend()
    async with (
        bus,
        application(utd_engine, here, bus) as app,
        application(utd_engine, there, bus),
        web(app) as client,
    ):
        for _ in range(2):
            assert (await client.post(PATH, content=BODY, headers=SIGNED)).status_code == 204
        await eventually(lambda: len(there.taken) == 2)
        assert (await client.post(PATH, content=b"forged")).status_code == 401
        assert here.taken == there.taken == [BODY, BODY]


async def test_a_node_that_ends_keeps_no_other_from_being_told(
    utd_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    bus, here, there = LocalMessages(), Backend(), Backend()
    async with (
        bus,
        application(utd_engine, here, bus) as app,
        application(utd_engine, there, bus),
        web(app) as client,
    ):
        there.is_closed = True
        assert (await client.post(PATH, content=BODY, headers=SIGNED)).status_code == 204
        await eventually(lambda: "refused here" in caplog.text)
        there.is_closed = False
        assert (await client.post(PATH, content=BODY, headers=SIGNED)).status_code == 204
        await eventually(lambda: there.taken == [BODY])


async def test_what_cannot_be_handed_on_is_to_be_posted_again(utd_engine: Engine, backend: Backend) -> None:
    async with Away() as bus, application(utd_engine, backend, bus) as app, web(app) as client:
        assert (await client.post(PATH, content=BODY, headers=SIGNED)).status_code == 503
