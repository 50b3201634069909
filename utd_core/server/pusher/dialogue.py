"""What a client says, and what it is answered."""

from __future__ import annotations

import logging
from math import inf
from typing import TYPE_CHECKING

from ...errors import (
    Closed,
    Conflict,
    ErrorCode,
    Forbidden,
    RateLimited,
    StoreFailed,
    Unauthenticated,
    Unavailable,
    UTDStreamException,
)
from ...model.command import Actor
from ..features import check_signaling
from . import frames
from .codes import CloseCode
from .identities import actor_of_data, user_of_data, user_of_token
from .names import SERVER_TO_USER, ChannelKind, kind_of
from .presence import Member, read_member
from .protocol import ClientEvent, Malformed, Ping, Pong, SignIn, Subscribe, Unsubscribe, parse
from .signatures import channel_text, check_credential, user_text
from .socket import Socket

if TYPE_CHECKING:
    from .hub import Hub


log = logging.getLogger("utd_core.server")


class Dialogue:
    """One for all sockets of a hub; each socket's messages are heard one after the other."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._settings = hub.settings

    async def hear(self, socket: Socket, text: str) -> None:
        """Do what a message says. Never raises for anything that a client can say."""
        self._hub.heartbeat.heard(socket)
        if not socket.messages.take(self._hub.clock.monotonic()):
            socket.outbox.cut_off(CloseCode.TOO_FAST, "you send too many messages; come back and send fewer")
            return
        settings = self._settings
        match parse(text, message_bytes=settings.message_bytes, event_bytes=settings.event_bytes):
            case ClientEvent() as event:
                await self._client_event(socket, event)
            case Subscribe() as wish:
                await self._subscribe(socket, wish)
            case Unsubscribe(channel):
                place = socket.places.get(channel)
                if place is not None:
                    place.channel.leave(place)
            case SignIn() as claim:
                self._sign_in(socket, claim)
            case Ping():
                socket.send(frames.PONG)
            case Pong():
                pass
            case Malformed() as malformed:
                self._malformed(socket, malformed)

    async def _subscribe(self, socket: Socket, wish: Subscribe) -> None:
        if wish.channel in socket.places:
            socket.send(frames.error(None, f"existing subscription to channel {wish.channel}"))
            return
        try:
            if len(socket.places) >= self._settings.channels_per_socket:
                raise Conflict(f"you follow {len(socket.places)} channels, as many as one connection may")
            kind = kind_of(wish.channel)
            if kind.is_of_engine:
                actor, good_until = self._actor(socket, wish)
                with self._hub.channels.engine_channel(wish.channel, kind) as engine_channel:
                    await engine_channel.join(socket, actor, wish.recover, good_until)
            else:
                check_signaling(self._hub.project)
                member = self._member(socket, wish, kind)
                with self._hub.channels.app_channel(wish.channel, kind) as app_channel:
                    await app_channel.join(socket, member)
        except UTDStreamException as error:
            if error.status_code >= 500:
                log.warning("socket %s cannot subscribe: %s", socket.id, error)
            socket.send(frames.subscription_error(wish.channel, error))

    def _actor(self, socket: Socket, wish: Subscribe) -> tuple[Actor, float]:
        """As whom a socket wants to follow a channel of the engine, and until when that holds."""
        if wish.auth:
            check_credential(self._hub.project, wish.auth, channel_text(socket.id, wish.channel, wish.channel_data))
            if wish.channel_data is not None:
                return actor_of_data(wish.channel_data)
        if socket.user is None or socket.user.actor is None:
            raise Unauthenticated("say who you are: sign in, or have channel_data signed that holds your user_id")
        # How long the user is good is the socket's affair.
        return socket.user.actor, inf

    def _member(self, socket: Socket, wish: Subscribe, kind: ChannelKind) -> Member | None:
        """As which member a socket wants to follow a channel of the application, None in one that has no members."""
        if kind is ChannelKind.SERVER_TO_USER:
            if socket.user is None or socket.user.id != wish.channel.removeprefix(SERVER_TO_USER):
                raise Forbidden("what the server sends to a user is for that user; sign in first")
        elif kind.is_signed:
            check_credential(self._hub.project, wish.auth, channel_text(socket.id, wish.channel, wish.channel_data))
        if kind is not ChannelKind.PRESENCE:
            return None
        if wish.channel_data is not None:
            return read_member(wish.channel_data, self._settings.member_bytes)
        if socket.user is None:
            raise Unauthenticated("say who you are: sign in, or have channel_data signed that holds your user_id")
        return socket.user.member

    def _sign_in(self, socket: Socket, claim: SignIn) -> None:
        try:
            if claim.token:
                user = user_of_token(self._hub.engine, claim.token)
            else:
                check_credential(self._hub.project, claim.auth, user_text(socket.id, claim.user_data))
                user = user_of_data(claim.user_data)
        except (Closed, StoreFailed, Unavailable):
            socket.close(CloseCode.RECONNECT, "the server cannot tell at the moment; come back")
            return
        except UTDStreamException as error:
            socket.close(CloseCode.UNAUTHORIZED, error.message)
            return
        if socket.user is not None and socket.user.id != user.id:
            socket.send(frames.error(None, "somebody else is signed in here; open another connection"))
            return
        self._hub.sign_in(socket, user)
        socket.send(frames.signed_in(user.data))

    async def _client_event(self, socket: Socket, event: ClientEvent) -> None:
        hub = self._hub
        try:
            place = socket.places.get(event.channel)
            if place is None:
                raise Conflict("you do not follow this channel; subscribe first", code=ErrorCode.NOT_JOINED)
            if not place.channel.kind.talks:
                raise Forbidden("client events go to private and presence channels, and to calls")
            if not place.channel.kind.is_of_engine:
                check_signaling(hub.project)
            if not socket.client_events.take(hub.clock.monotonic()):
                raise RateLimited("you send too many client events; wait a moment")
            frame = frames.app_event(event.channel, event.event, event.data, place.user_id)
            await hub.publish(event.channel, frame, skip=socket.id)
        except UTDStreamException as error:
            self._refuse(socket, event.channel, event.id, error)
            return
        hub.client_events += 1
        if event.id is not None:
            socket.send(frames.accepted(event.channel, event.id))

    def _malformed(self, socket: Socket, malformed: Malformed) -> None:
        if malformed.event == "pusher:subscribe" and malformed.channel:
            socket.send(frames.subscription_error(malformed.channel, malformed.error))
        else:
            self._refuse(socket, malformed.channel, malformed.id, malformed.error)

    def _refuse(self, socket: Socket, channel: str, id: str | int | None, error: UTDStreamException) -> None:
        if id is not None:
            socket.send(frames.refused(channel, id, error))
        else:
            code = CloseCode.CLIENT_EVENT_RATE if isinstance(error, RateLimited) else None
            socket.send(frames.error(code, error.message))
