"""The control half: what the engine does with a LiveKit server, through its API."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from livekit import api

from utd_core.concurrency import Clock, Closeable
from utd_core.errors import ErrorCode, NotFound, UTDStreamException
from utd_core.media.arguments import (
    check_attributes,
    check_grant,
    check_identity,
    check_limit,
    check_payload,
    check_profile,
    check_room,
    check_ttl,
)
from utd_core.media.attributes import NO_ATTRIBUTES
from utd_core.media.backend import JoinTicket, MediaControl
from utd_core.media.events import Notification, NotificationKind, ParticipantInfo, TrackInfo
from utd_core.media.notices import Listeners, NotificationFaults, NotificationStream
from utd_core.model.permission import Grant

from .capabilities import MAX_DATA_BYTES
from .errands import Errands
from .moderation import Removals, mute_attribute
from .names import read_wire_name
from .notifications import Receiver, notification_of, read_delivery
from .permissions import claims_of, grant_of, permission_of
from .profiles import attributes_of, changes_of, text_of
from .requests import Requests, Unanswered
from .settings import LiveKitSettings
from .sources import FROM_SERVER
from .troubles import GrantTroubles, Lateness
from .vigil import Vigil

T = TypeVar("T")

_IDLE_ROOM = 3_600
"""Seconds after which the server forgets a room with nobody in it, should no engine be left to close it."""
_SECOND_LOOKS = (0.05, 0.1, 0.2)
"""Seconds: the server's list is a moment behind what a publisher was told."""


class LiveKitControl(MediaControl, Closeable):
    """Made and closed by `LiveKitBackend`. `start` sees to it that a server of our own runs."""

    def __init__(self, settings: LiveKitSettings, clock: Clock, start: Callable[[], Awaitable[None]]) -> None:
        self._settings = settings
        self._start = start
        self._clock = clock
        self._requests = Requests(settings)
        self._listeners = Listeners()
        self._receiver = Receiver(settings.webhooks, self.receive)
        self._errands = Errands("the livekit backend")
        self.grant_troubles = GrantTroubles(clock)
        self._lateness = Lateness(clock)
        self.notification_faults = NotificationFaults(self._listeners.tell, self._lateness.after)
        self._removals = Removals()
        self._closings: dict[str, asyncio.Task[None]] = {}
        self._vigil = Vigil(clock, self._rooms_on_server, self._lost)

    @property
    def is_busy(self) -> bool:
        """The server is being asked for something."""
        return bool(self._requests.under_way) or self._errands.is_busy

    async def create_room(self, room: str, *, max_participants: int | None = None) -> None:
        check_room(room)
        check_limit(max_participants)
        wanted = api.CreateRoomRequest(
            name=self._on_server(room),
            max_participants=max_participants or 0,
            empty_timeout=_IDLE_ROOM,
            departure_timeout=_IDLE_ROOM,
        )
        if room in self._closings:
            # Whoever asked for its end may have been cancelled; the server would end the new one.
            await asyncio.wait([self._closings[room]])
        await self._ask(lambda service: service.create_room(wanted))
        await self._vigil.begin(room)

    async def close_room(self, room: str) -> None:
        check_room(room)
        self._requests.check_open()
        self._vigil.end(room)
        closing = self._closings[room] = self._errands.start(self._delete(room))
        closing.add_done_callback(lambda _: self._closed(room, closing))
        await self._errands.wait(closing)

    async def list_rooms(self) -> list[str]:
        return await self._rooms_on_server()

    async def issue_join(
        self,
        room: str,
        identity: str,
        *,
        grant: Grant,
        name: str = "",
        ttl: float = 600.0,
        metadata: str = "",
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
    ) -> JoinTicket:
        self._requests.check_open()
        check_room(room)
        check_identity(identity)
        check_grant(grant)
        check_profile(name=name, metadata=metadata, attributes=attributes)
        check_ttl(ttl)
        settings = self._settings
        token = (
            api.AccessToken(settings.api_key, settings.api_secret)
            .with_identity(identity)
            .with_name(name)
            .with_metadata(metadata)
            .with_grants(claims_of(self._on_server(room), grant))
            .with_attributes({**attributes, **Removals.attributes(self._clock.now())})
            .with_ttl(timedelta(seconds=ttl))
            .to_jwt()
        )
        return JoinTicket(settings.public_url or settings.url, token, self._clock.now() + ttl)

    async def update_participant(
        self,
        room: str,
        identity: str,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        check_room(room)
        check_identity(identity)
        check_profile(name=name, metadata=metadata, attributes=attributes)
        wanted = api.RoomParticipantIdentity(room=self._on_server(room), identity=identity)
        present = await self._ask_about(room, identity, lambda service: service.get_participant(wanted))
        if attributes:
            check_attributes(attributes_of(present).merged(attributes))
        changes = changes_of(name, metadata, attributes)
        if changes:
            await self._update(room, identity, **changes)

    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        check_room(room)
        check_identity(identity)
        check_grant(grant)
        self._requests.check_open()
        permission = permission_of(grant)
        await self.grant_troubles.meet(room, identity, lambda: self._update(room, identity, permission=permission))

    async def mute_track(self, room: str, identity: str, track_id: str, muted: bool = True) -> None:
        check_room(room)
        check_identity(identity)
        sid = await self._sid(room, identity, track_id)
        if muted:
            # Told first, and in the same order to everybody: LiveKit itself does not say whose mute one is.
            await self._update(room, identity, attributes={mute_attribute(track_id): secrets.token_hex(4)})
        muting = api.MuteRoomTrackRequest(room=self._on_server(room), identity=identity, track_sid=sid, muted=muted)
        await self._ask_about(room, identity, lambda service: service.mute_published_track(muting))

    async def remove_participant(self, room: str, identity: str) -> None:
        check_room(room)
        check_identity(identity)
        self._removals.remember(room, identity, self._clock.now())
        target = api.RoomParticipantIdentity(room=self._on_server(room), identity=identity)
        await self._ask_about(room, identity, lambda service: service.remove_participant(target))

    async def list_participants(self, room: str) -> list[ParticipantInfo]:
        check_room(room)
        wanted = api.ListParticipantsRequest(room=self._on_server(room))
        try:
            answer = await self._ask(lambda service: service.list_participants(wanted))
        except NotFound:
            return []
        return [participant_of(each) for each in answer.participants]

    async def send_data(
        self, room: str, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        check_room(room)
        check_payload(payload, to, topic, limit=MAX_DATA_BYTES)
        self._requests.check_open()
        if to is not None and not to:
            return
        kind = api.DataPacket.Kind.RELIABLE if reliable else api.DataPacket.Kind.LOSSY
        sending = api.SendDataRequest(
            room=self._on_server(room), data=payload, kind=kind, topic=topic, nonce=secrets.token_bytes(16)
        )
        sending.destination_identities.extend(to or ())
        try:
            await self._ask(lambda service: service.send_data(sending))
        except Unanswered:
            # In a room that is not there is nobody to be told.
            if await self._rooms_on_server([room]):
                raise

    def notifications(self) -> NotificationStream:
        self._requests.check_open()
        return self._listeners.listen()

    def receive(self, body: bytes, headers: Mapping[str, str]) -> None:
        self._requests.check_open()
        event = read_delivery(body, headers.get("authorization", ""), self._settings)
        room = self._own(event.room.name)
        if room is None:
            return
        if event.event == "participant_joined" and self._removals.is_back(room, event.participant):
            self._errands.start(self._remove_again(room, event.participant.identity))
        notification = notification_of(event, room)
        if notification is not None:
            self.notification_faults.meet(notification)

    async def aclose(self) -> None:
        await self._vigil.aclose()
        await self._requests.aclose()
        await self.grant_troubles.aclose()
        self.notification_faults.clear()
        await self._lateness.aclose()
        self._listeners.close()
        await self._receiver.aclose()
        await self._errands.finish()

    async def _ask(self, call: Callable[[Any], Awaitable[T]]) -> T:
        """The answer to a request; whoever asks the server is also told what it tells."""
        self._requests.check_open()
        await self._receiver.open()
        await self._start()
        return await self._requests.make(call)

    async def _ask_about(self, room: str, identity: str, call: Callable[[Any], Awaitable[T]]) -> T:
        """The answer to a request about a participant. Raises `NotFound` (participant_not_found)."""
        try:
            return await self._ask(call)
        except NotFound as error:
            raise _absent(room, identity) from error
        except Unanswered as error:
            if await self._is_there(room, identity):
                raise
            raise _absent(room, identity) from error

    async def _is_there(self, room: str, identity: str) -> bool:
        """Whether the server's list has this participant."""
        return any(each.identity == identity for each in await self.list_participants(room))

    async def _rooms_on_server(self, among: Collection[str] | None = None) -> list[str]:
        """Our rooms that the server has, of all or of these."""
        wanted = api.ListRoomsRequest(names=[self._on_server(room) for room in among or ()])
        answer = await self._ask(lambda service: service.list_rooms(wanted))
        return [own for room in answer.rooms if (own := self._own(room.name)) is not None]

    def _lost(self, room: str) -> None:
        """The server has a room no more, and did not say so."""
        number = f"LOST_{secrets.token_hex(8)}"
        self._listeners.tell(Notification(number, NotificationKind.ROOM_CLOSED, room, self._clock.now()))

    async def _sid(self, room: str, identity: str, track_id: str) -> str:
        """What the server calls a track. Raises `NotFound`."""
        target = api.RoomParticipantIdentity(room=self._on_server(room), identity=identity)
        for pause in (*_SECOND_LOOKS, None):
            participant = await self._ask_about(room, identity, lambda service: service.get_participant(target))
            for track in participant.tracks:
                if _track_id(track, identity) == track_id:
                    return str(track.sid)
            if pause is not None:
                await self._clock.sleep(pause)
        raise NotFound(f"{identity!r} publishes no track {track_id!r} in room {room!r}", code=ErrorCode.TRACK_NOT_FOUND)

    async def _delete(self, room: str) -> None:
        wanted = api.DeleteRoomRequest(room=self._on_server(room))
        with suppress(NotFound):
            await self._ask(lambda service: service.delete_room(wanted))

    def _closed(self, room: str, closing: asyncio.Task[None]) -> None:
        if self._closings.get(room) is closing:
            del self._closings[room]

    async def _remove_again(self, room: str, identity: str) -> None:
        target = api.RoomParticipantIdentity(room=self._on_server(room), identity=identity)
        # Gone already, or the backend closes: the engine, which sees a stranger, asks for the same.
        with suppress(UTDStreamException):
            await self._ask(lambda service: service.remove_participant(target))

    async def _update(self, room: str, identity: str, **changes: Any) -> None:
        change = api.UpdateParticipantRequest(room=self._on_server(room), identity=identity, **changes)
        await self._ask_about(room, identity, lambda service: service.update_participant(change))

    def _on_server(self, room: str) -> str:
        return self._settings.prefix + room

    def _own(self, room: str) -> str | None:
        """What a room of the server is called here; None where it is somebody else's."""
        prefix = self._settings.prefix
        return room.removeprefix(prefix) if room.startswith(prefix) and room != prefix else None


def _absent(room: str, identity: str) -> NotFound:
    return NotFound(f"{identity!r} is not connected to room {room!r}", code=ErrorCode.PARTICIPANT_NOT_FOUND)


def participant_of(participant: api.ParticipantInfo) -> ParticipantInfo:
    """A participant as the server has it."""
    identity = participant.identity
    joined_at = participant.joined_at_ms / 1_000 or float(participant.joined_at)
    return ParticipantInfo(
        identity,
        text_of(participant.name),
        grant_of(participant.permission, FROM_SERVER),
        tuple(track for each in participant.tracks if (track := track_of(each, identity)) is not None),
        joined_at,
        metadata=text_of(participant.metadata),
        attributes=attributes_of(participant),
    )


def track_of(track: api.TrackInfo, identity: str) -> TrackInfo | None:
    """A track as the server has it; None for one of no source that we know."""
    source = FROM_SERVER.get(track.source)
    if source is None:
        return None
    track_id, name = read_wire_name(track.name, track.sid, identity)
    return TrackInfo(track_id, source, track.muted, name)


def _track_id(track: api.TrackInfo, identity: str) -> str:
    return read_wire_name(track.name, track.sid, identity)[0]
