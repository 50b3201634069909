"""No secret and no token is logged or answered, whatever is asked and whatever fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utd_core.errors import StoreFailed
from utd_core.testing import VirtualClock

from .nodes import APP, SECRET, a_node

PLANTED = ("planted-secret-1", "planted-key-22", "planted-bearer-333", "eyJwbGFudGVk.eyJwbGFudGVk.cGxhbnRlZA")
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
PATHS = (
    "/api/v1/rooms",
    "/api/v1/rooms/lobby",
    "/api/v1/auth/session",
    "/api/v1/token",
    "/api/v1/calls",
    "/api/v1/channels/auth",
    f"/apps/{APP}/events",
    "/metrics",
    "/ready",
    "/nothing",
)
planted = st.sampled_from(PLANTED)
requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(METHODS),
        "path": st.sampled_from(PATHS),
        "headers": st.dictionaries(
            st.sampled_from(["X-App-Id", "X-App-Secret", "X-App-Key", "Authorization", "Cookie", "Content-Type"]),
            st.one_of(planted, planted.map("Bearer {}".format), st.sampled_from([APP, SECRET, "application/json"])),
        ),
        "query": st.dictionaries(st.sampled_from(["auth_key", "auth_signature", "token"]), planted),
        "body": st.one_of(
            st.none(),
            planted.map(str.encode),
            st.dictionaries(st.sampled_from(["token", "user_token", "auth"]), planted),
        ),
    }
)


class Heard(logging.Handler):
    """Everything that is logged, as the longest formatter would write it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{logging.Formatter().format(record)} {vars(record)}\n"


@pytest.fixture
def heard() -> Iterator[Heard]:
    """What utd_core logs, at every level; the libraries around it in the tests are not asked."""
    handler, logger = Heard(), logging.getLogger("utd_core")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def check(said: str) -> None:
    for secret in (*PLANTED, SECRET):
        assert secret not in said, f"{secret} was said"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(requests, min_size=1, max_size=6), store_fails=st.booleans())
def test_planted_secrets_turn_up_nowhere(heard: Heard, asked: list[dict[str, Any]], store_fails: bool) -> None:
    asyncio.run(ask_all(asked, store_fails))
    check(heard.text)


async def ask_all(asked: list[dict[str, Any]], store_fails: bool) -> None:
    async with a_node(VirtualClock()) as node:
        del node.http.headers["X-App-Secret"], node.http.headers["X-App-Id"]
        if store_fails:
            fail(node.engine)
        for request in asked:
            body = request["body"]
            content = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
            response = await node.http.request(
                request["method"], request["path"], headers=request["headers"], params=request["query"], **content
            )
            if not response.is_success:
                check(response.text)
                check(str(response.headers))


def fail(engine: Any) -> None:
    """Have the store fail from now on, with words that hold a secret."""

    async def commit(_: object) -> None:
        raise StoreFailed("the store failed") from RuntimeError("away")

    engine._store.commit = commit


async def test_an_unknown_failure_is_answered_without_its_words(
    utd_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_node(utd_clock) as node:

        async def broken(*_: object, **__: object) -> None:
            raise RuntimeError(f"could not connect with {SECRET}")

        monkeypatch.setattr(node.engine, "execute", broken)
        caplog.set_level("CRITICAL", "utd_core.server")
        answer = await node.http.get("/api/v1/rooms")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    check(answer.text)


async def test_a_user_token_is_in_its_answer_and_nowhere_else(utd_clock: VirtualClock, heard: Heard) -> None:
    async with a_node(utd_clock) as node:
        session: httpx.Response = await node.http.post("/api/v1/auth/session", json={"identity": "ann"})
        token = session.json()["user_token"]
        bearer = {"Authorization": f"Bearer {token}", "X-App-Secret": ""}
        said = ""
        for headers in (bearer, {"Authorization": f"Bearer {token}x"}, {"Authorization": token}):
            node.http.headers.pop("X-App-Secret", None)
            for path in PATHS:
                answer = await node.http.get(path, headers=headers)
                said += answer.text + str(answer.headers)
        assert token not in heard.text + said
