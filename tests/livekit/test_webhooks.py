"""Webhooks: only what the server signed, on the body as it came; lost, doubled and strange ones do no harm."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import jwt
import pytest

from utd_core.errors import InvalidInput, MediaError, Unauthenticated
from utd_core.media.events import DisconnectReason, NotificationKind
from utd_core.testing.wait import eventually
from utd_livekit.backend import LiveKitBackend
from utd_livekit.control import LiveKitControl
from utd_livekit.names import new_track_id, wire_name
from utd_livekit.server.local import free_port

KEY, SECRET = "key", "a-secret-of-at-least-thirty-two-bytes"
LEFT = {
    "event": "participant_left",
    "id": "EV_1",
    "createdAt": "1795280000",
    "room": {"name": "shop-lobby", "sid": "RM_1"},
    "participant": {"identity": "ann", "disconnectReason": "PARTICIPANT_REMOVED"},
}


def signed(body: bytes, *, key: str = KEY, secret: str = SECRET, **claims: Any) -> str:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return jwt.encode({"iss": key, "exp": time.time() + 60, "sha256": digest, **claims}, secret, algorithm="HS256")


def encoded(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event).encode()


@pytest.fixture
async def control() -> AsyncIterator[LiveKitControl]:
    settings = {"url": "ws://127.0.0.1:9", "api_key": KEY, "api_secret": SECRET, "prefix": "shop-"}
    async with LiveKitBackend(settings) as backend:
        yield backend.control


async def test_a_signed_webhook_becomes_a_notification(control: LiveKitControl) -> None:
    told = control.notifications()
    body = encoded(LEFT)
    control.receive(body, {"authorization": signed(body)})
    notification = await told.get()
    assert (notification.id, notification.kind, notification.room) == (
        "EV_1",
        NotificationKind.PARTICIPANT_LEFT,
        "lobby",
    )
    assert (notification.identity, notification.reason) == ("ann", DisconnectReason.REMOVED)
    assert notification.at == 1795280000.0


async def test_a_doubled_webhook_has_the_same_id(control: LiveKitControl) -> None:
    told = control.notifications()
    body = encoded(LEFT)
    for _ in range(2):
        control.receive(body, {"authorization": signed(body)})
    assert (await told.get()).id == (await told.get()).id


async def test_a_track_has_the_id_that_its_publisher_gave_it(control: LiveKitControl) -> None:
    told = control.notifications()
    track_id = new_track_id("ann")
    track = {"sid": "TR_1", "name": wire_name(track_id, "voice"), "source": "MICROPHONE"}
    body = encoded({**LEFT, "event": "track_published", "track": track})
    control.receive(body, {"authorization": signed(body)})
    published = (await told.get()).track
    assert published is not None
    assert (published.id, published.name) == (track_id, "voice")


@pytest.mark.parametrize(
    "event",
    [
        {**LEFT, "event": "egress_started"},
        {**LEFT, "event": "something_new", "newField": {"a": 1}},
        {**LEFT, "room": {"name": "another-deployment"}},
        {**LEFT, "room": {"name": "shop-"}},
        {},
    ],
    ids=["unused", "unknown", "foreign-room", "no-name", "empty"],
)
async def test_what_is_none_of_ours_is_passed_over(control: LiveKitControl, event: dict[str, Any]) -> None:
    told = control.notifications()
    body = encoded(event)
    control.receive(body, {"authorization": signed(body)})
    assert told.get_nowait() is None


def forged() -> dict[str, str]:
    body = encoded(LEFT)
    return {
        "none": "",
        "no-token": "not a token",
        "another-secret": signed(body, secret="another-secret-of-thirty-two-bytes!"),
        "another-key": signed(body, key="another"),
        "another-body": signed(body + b" "),
        "no-digest": signed(body, sha256=None),
        "no-base64": signed(body, sha256="?"),
        "expired": signed(body, exp=time.time() - 3_600),
        "not-yet": signed(body, nbf=time.time() + 3_600),
        "no-text": "\udcff.\udcff.\udcff",
        "deep": f"{base64.urlsafe_b64encode(b'[' * 5_000).decode()}.e30.e30",
        "unsigned": jwt.encode({"iss": KEY, "exp": time.time() + 60}, "", algorithm="none"),
    }


@pytest.mark.parametrize("how", forged())
async def test_a_forged_webhook_is_refused(control: LiveKitControl, how: str) -> None:
    told = control.notifications()
    with pytest.raises(Unauthenticated):
        control.receive(encoded(LEFT), {"authorization": forged()[how]})
    assert told.get_nowait() is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"room": 7}'], ids=range(4))
async def test_a_malformed_body_is_invalid_though_signed(control: LiveKitControl, body: bytes) -> None:
    with pytest.raises(InvalidInput):
        control.receive(body, {"authorization": signed(body)})


async def test_the_listener_answers_what_it_was_sent() -> None:
    port = free_port()
    settings = {"url": "ws://127.0.0.1:9", "api_key": KEY, "api_secret": SECRET, "webhooks": f"127.0.0.1:{port}"}
    url, body = f"http://127.0.0.1:{port}/any/path", encoded(LEFT)
    async with LiveKitBackend(settings) as backend, aiohttp.ClientSession() as web:
        told = backend.control.notifications()
        with pytest.raises(MediaError):
            await backend.control.list_rooms()  # nobody is at that port, and from here on it listens
        async with web.get(url) as answer:
            assert answer.status == 405
        async with web.post(url, data=body, headers={"Authorization": "forged"}) as answer:
            assert answer.status == 401
        async with web.post(url, data=io.BytesIO(bytes(2_000_000)), headers={"Authorization": "x"}) as answer:
            assert answer.status == 413
        async with web.post(url, data=body, headers={"Authorization": signed(body)}) as answer:
            assert answer.status == 200
        assert await eventually(told.get_nowait)


async def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    port = free_port()
    settings = {"url": "ws://127.0.0.1:9", "api_key": KEY, "api_secret": SECRET, "webhooks": f"127.0.0.1:{port}"}
    async with LiveKitBackend(settings) as first, LiveKitBackend(settings) as second:
        with pytest.raises(MediaError, match="cannot be reached"):
            await first.control.list_rooms()
        with pytest.raises(MediaError, match=f"webhooks at 127.0.0.1:{port}"):
            await second.control.list_rooms()
