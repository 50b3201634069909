"""No token, signature or secret that goes over a socket is logged, or told to anybody it does not belong to."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from utd_core.errors import StoreFailed

from .asgi_client import AsgiClient, Ended
from .test_trigger import Server
from .world import CHANNEL, PROJECT, World


def written(caplog: pytest.LogCaptureFixture) -> str:
    """Everything that was logged, with all that a record holds and the tracebacks."""
    formatter = logging.Formatter()
    return "\n".join(f"{formatter.format(record)} {vars(record)}" for record in caplog.records)


async def heard_until_quiet(client: AsgiClient) -> str:
    """Everything that a client is told until its ping is answered, or it is cut off."""
    said = ""
    with suppress(Ended):
        client.say("pusher:ping")
        while (message := await client.hear())["event"] != "pusher:pong":
            said += json.dumps(message)
    return said + client.reason


async def test_whatever_a_socket_is_told_is_not_logged(
    room: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    token = await room.token("ann")
    forged = f"{token[:-6]}AAAAAA"
    told = ""
    sayings: list[Callable[[AsgiClient, str], None]] = [
        lambda client, secret: client.say("pusher:signin", {"token": secret}),
        lambda client, secret: client.say("pusher:signin", {"token": f"Bearer {secret}"}),
        lambda client, secret: client.say("pusher:signin", {"auth": secret, "user_data": json.dumps({"id": secret})}),
        lambda client, secret: client.subscribe(CHANNEL, auth=secret, channel_data=json.dumps({"user_id": secret})),
        lambda client, secret: client.subscribe(f"private-{secret[:100]}", auth=f"{PROJECT.key}:{secret}"),
        lambda client, secret: client.say(secret, {"token": secret}),
        lambda client, secret: client.say_text(secret),
        lambda client, secret: client.say_text(json.dumps({"event": "client-x", "channel": CHANNEL, "data": secret})),
    ]
    for secret in (token, forged, PROJECT.secret):
        for query in ("protocol=7", f"protocol=7&token={quote(secret)}", f"protocol={quote(secret)}"):
            client = await room.connect(query=query)
            for say in sayings:
                say(client, secret)
            told += await heard_until_quiet(client) + json.dumps(client.greeting)
        await room.connect(path=f"/app/{quote(secret)}")
        # The same, while the database is away and while a mistake of ours strikes.
        room.place.error = StoreFailed("the store failed")
        await room.connect(query=f"protocol=7&token={quote(secret)}")
        room.place.error = None
        client = await room.connect()
        with monkeypatch.context() as patch:
            patch.setattr("utd_core.server.pusher.dialogue.parse", mistake)
            client.say("pusher:signin", {"token": secret})
            told += await heard_until_quiet(client)
    log = written(caplog)
    assert "ZeroDivisionError" in log
    for secret in (token, forged, token.rpartition(".")[2], PROJECT.secret):
        assert secret not in log
    assert token not in told
    assert PROJECT.secret not in told


def mistake(*_: object, **__: object) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize("secret", [PROJECT.secret, "planted-wrong-secret"])
async def test_a_signed_request_is_not_logged_either(
    room: World, caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    caplog.set_level(logging.DEBUG, "utd_core")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(room.app), base_url="http://test") as http:
        signer = replace(PROJECT, secrets=(secret,))
        event = {"name": "word", "channel": "news", "data": "planted-data"}
        answer = await Server(room, http).ask("POST", f"/apps/{PROJECT.app_id}/events", event, project=signer)
    assert answer.is_success == (secret == PROJECT.secret)
    for kept in (answer.request.url.params["auth_signature"], secret, PROJECT.secret, "planted-data"):
        assert kept not in written(caplog)
        assert kept not in answer.text


async def test_what_is_signed_for_one_socket_is_logged_nowhere(room: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "utd_core")
    client, token = await room.connect(), await room.token("ann")
    fields = {"socket_id": client.socket_id, "channel_name": CHANNEL}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(room.app), base_url="http://test") as http:
        bearer = {"authorization": f"Bearer {token}"}
        signed = (await http.post("/api/v1/channels/auth", data=fields, headers=bearer)).json()
        refused = await http.post("/api/v1/channels/auth", data=fields, headers={"authorization": f"Bearer {token}x"})
    assert refused.status_code == 401
    for secret in (signed["auth"].partition(":")[2], token):
        assert secret not in written(caplog)
        assert secret not in refused.text
