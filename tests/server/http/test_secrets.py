"""No secret, key or token is ever in a log or an error, whatever is sent and whatever fails."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from utd_core.errors import UTDStreamException
from utd_core.model.commands import JoinRoom
from utd_core.model.stream_type import UTDStreamType

from .world import API, Caller, World, done

SECRET, KEY = "secret-of-alpha", "key-of-alpha"


async def everything(world: World) -> list[str]:
    """All kinds of requests that go well or wrong, with a credential in every place; what was used."""
    ann = await world.user("ann")
    token = ann.headers["Authorization"].removeprefix("Bearer ")
    joined = done(await ann.give(JoinRoom(room="lobby", type=UTDStreamType.AUDIO_ROOM, as_host=True)))
    callers = [world.server(), world.key(), ann, world.nobody()]
    callers += [
        Caller(world, {"X-App-Id": "alpha", "X-App-Secret": SECRET, "X-App-Key": KEY}),
        Caller(world, {"X-App-Id": "beta", "X-App-Secret": SECRET}),
        Caller(world, {"X-App-Id": SECRET, "X-App-Secret": SECRET}),
        Caller(world, {"Authorization": f"Basic {token}"}),
        Caller(world, {"Authorization": f"Bearer {token}x"}),
        Caller(world, {"Authorization": f"Bearer {token}", "X-App-Id": "beta"}),
    ]
    for caller in callers:
        for credential in (SECRET, KEY, token, joined["user_token"], joined["token"]):
            await caller.send("GET", f"{API}/{credential}")
            await caller.send("GET", f"/{credential}?{credential}={credential}")
            await caller.send("GET", f"{API}/rooms/{credential}")
            await caller.send("GET", f"{API}/rooms?token={credential}")
            await caller.send("POST", f"{API}/rooms", content=credential)
            await caller.send("POST", f"{API}/rooms", json={"room": credential, "type": credential})
            await caller.send("POST", f"{API}/token", json={"room": "lobby", "type": "audio_room"})
            await caller.send(
                "POST", f"{API}/rooms", headers={"Idempotency-Key": credential, "X-Request-Id": f"{credential}!"}
            )
    return [SECRET, KEY, token, joined["user_token"], joined["token"]]


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    formatter = logging.Formatter("%(message)s")
    return [f"{formatter.format(record)} {vars(record)}" for record in caplog.records]


@pytest.mark.parametrize("fails", [False, True])
async def test_none_is_ever_logged(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it is the client
    execute, count = world.engine.execute, 0

    async def now_and_then(*given: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if fails and count % 3 == 0:
            raise RuntimeError("by mistake") if count % 2 else UTDStreamException("on purpose")
        return await execute(*given, **named)

    monkeypatch.setattr(world.engine, "execute", now_and_then)
    used = await everything(world)
    written = lines(caplog)
    assert len(written) > 100
    for credential in used:
        leaks = [line for line in written if credential in line]
        assert not leaks, f"{credential[:16]}: {leaks[0][:500]}"


async def test_none_is_in_a_refusal(world: World) -> None:
    ann = await world.user("ann")
    token = ann.headers["Authorization"].removeprefix("Bearer ")
    for headers in (
        {"X-App-Id": "alpha", "X-App-Secret": f"{SECRET}x"},
        {"X-App-Id": "alpha", "X-App-Secret": SECRET, "Authorization": f"Bearer {token}"},
        {"Authorization": f"Bearer {token}x"},
        {"Authorization": f"Bearer {token}", "X-App-Id": "beta"},
        {"Authorization": token},
    ):
        response = await Caller(world, headers).get("/rooms")
        assert response.status_code == 401
        assert SECRET not in response.text
        assert token[:40] not in response.text


def test_none_is_in_what_a_project_shows_of_itself() -> None:
    async def shown() -> str:
        async with World() as world:
            hosted = world.host.by_id["alpha"]
            return f"{hosted!r} {hosted.project!r} {world.app!r}"

    assert SECRET not in asyncio.run(shown())
