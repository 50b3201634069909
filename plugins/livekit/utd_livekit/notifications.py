"""What the server tells the engine: webhooks, on the body as it came and only with the server's signature.

Deliveries may be lost, late, doubled or out of order. Each is handed on as the hint that it is; what is true stands in
`list_participants`, which the engine compares.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jwt
from aiohttp import web
from google.protobuf.json_format import Parse, ParseError
from livekit import api

from utd_core.concurrency import Closeable
from utd_core.errors import InvalidInput, MediaError, Unauthenticated, UTDStreamException
from utd_core.media.events import Notification, NotificationKind, TrackInfo
from utd_core.model.permission import TrackSource

from .errands import Errands, Once
from .names import read_wire_name
from .permissions import grant_of
from .reasons import reason_of
from .settings import LiveKitSettings, listen_address
from .sources import FROM_SERVER

MAX_BODY = 1_048_576

_A_MOMENT = 0.001
"""Seconds: what follows within the second of joining is later than the joining itself."""

_KINDS: Mapping[str, NotificationKind] = {
    "participant_joined": NotificationKind.PARTICIPANT_JOINED,
    "participant_left": NotificationKind.PARTICIPANT_LEFT,
    "track_published": NotificationKind.TRACK_PUBLISHED,
    "track_unpublished": NotificationKind.TRACK_UNPUBLISHED,
    "room_finished": NotificationKind.ROOM_CLOSED,
}

_LAST_DELIVERY = 1.0
"""Seconds for which closing waits for a delivery that is not all there yet."""
_TURNS = 4
"""Of the loop, within which a connection that was accepted is made and read from."""

Receive = Callable[[bytes, Mapping[str, str]], None]


def read_delivery(body: bytes, authorization: str, settings: LiveKitSettings) -> api.WebhookEvent:
    """What was delivered.

    Raises `Unauthenticated` unless the server signed exactly this body, `InvalidInput` for a body that is no webhook.
    """
    check_signature(body, authorization, settings)
    try:
        event: api.WebhookEvent = Parse(body, api.WebhookEvent(), ignore_unknown_fields=True)
    except (ParseError, UnicodeDecodeError) as error:
        raise InvalidInput(f"this is no webhook of a LiveKit server: {error}") from None
    return event


def notification_of(event: api.WebhookEvent, room: str) -> Notification | None:
    """What it tells the engine of a room, by its own name; None for what the engine has no use for."""
    kind = _KINDS.get(event.event)
    if kind is None:
        return None
    who = event.participant
    identity = who.identity or None
    joined, left = kind is NotificationKind.PARTICIPANT_JOINED, kind is NotificationKind.PARTICIPANT_LEFT
    return Notification(
        event.id,
        kind,
        room,
        _happened_at(event),
        identity,
        _track(event.track, identity) if event.HasField("track") and identity is not None else None,
        reason_of(who.disconnect_reason) if left else None,
        grant_of(who.permission, FROM_SERVER) if joined else None,
    )


def _happened_at(event: api.WebhookEvent) -> float:
    """When it happened, seconds since the Unix epoch. LiveKit dates its deliveries to the second, and to the
    millisecond when somebody joined: nothing of this connection is older than that."""
    joined = event.participant.joined_at_ms / 1_000
    if event.event == "participant_joined" and joined:
        return joined
    return max(float(event.created_at), joined + _A_MOMENT if joined else 0.0)


def check_signature(body: bytes, authorization: str, settings: LiveKitSettings) -> None:
    """Raises `Unauthenticated` unless the header is the server's signature of exactly this body."""
    try:
        claims = jwt.decode(
            authorization.removeprefix("Bearer "),
            settings.api_secret,
            algorithms=["HS256"],
            issuer=settings.api_key,
            leeway=60,
            options={"require": ["exp", "iss", "sha256"]},
        )
        signed = base64.b64decode(str(claims["sha256"]), validate=True)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        # The last two are what text makes that is no token, and no base64.
        raise Unauthenticated(f"the webhook is not signed with this server's key: {error}") from None
    if not hmac.compare_digest(signed, hashlib.sha256(body).digest()):
        raise Unauthenticated("the webhook's signature is of another body")


def _track(track: api.TrackInfo, identity: str) -> TrackInfo:
    track_id, name = read_wire_name(track.name, track.sid, identity)
    return TrackInfo(track_id, FROM_SERVER.get(track.source, TrackSource.MICROPHONE), track.muted, name)


@dataclass(frozen=True, slots=True)
class _Listening(Closeable):
    """A server, and where it takes calls."""

    server: web.Server
    ports: asyncio.Server

    async def aclose(self) -> None:
        # First no call is taken any more, and those that were are let in: a port that is closed before leaves their
        # sockets open until Python's collector comes by, and a server that is, does not know them.
        for port in self.ports.sockets:
            asyncio.get_running_loop().remove_reader(port)
        await _let_in()
        self.ports.close()
        # Another loop than asyncio's own took them until now.
        await _let_in()
        self.server.pre_shutdown()
        await self.server.shutdown(_LAST_DELIVERY)


async def _let_in() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class Receiver(Closeable):
    """Listens for webhooks at `address`, where there is one."""

    def __init__(self, address: str, receive: Receive) -> None:
        self._address = address
        self._receive = receive
        self._errands = Errands("the receiver of LiveKit's webhooks")
        # Cancelled half way it would listen, and nobody could end it.
        self._listening = Once(self._errands, self._listen)
        self._closed = False

    async def open(self) -> None:
        """Begin to listen at the address; return when it does. Idempotent. Raises `MediaError` when that is not
        possible."""
        if self._address and not self._closed:
            await self._listening.done()

    async def aclose(self) -> None:
        self._closed = True
        if (listening := await self._listening.over()) is not None:
            await listening.aclose()

    async def _listen(self) -> _Listening:
        host, port = listen_address(self._address)
        # Whoever sends more than is taken is hung up on, not listened to.
        server = web.Server(self._answer, access_log=None, lingering_time=0.0)
        try:
            ports = await asyncio.get_running_loop().create_server(server, host, port, reuse_address=True)
        except OSError as error:
            raise MediaError(f"cannot listen for LiveKit's webhooks at {self._address}: {error.strerror}") from error
        return _Listening(server, ports)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "POST":
            return web.Response(status=405)
        if request.content_length is None or request.content_length > MAX_BODY:
            return web.Response(status=413)
        try:
            self._receive(await request.read(), {"authorization": request.headers.get("Authorization", "")})
        except UTDStreamException as error:
            return web.Response(status=error.status_code, text=error.message)
        return web.Response(status=200)
