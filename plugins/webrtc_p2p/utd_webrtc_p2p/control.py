"""The control half: what the engine does with the switchboard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

from utd_core.errors import Closed, ErrorCode, MediaError, NotFound
from utd_core.media import arguments
from utd_core.media.attributes import NO_ATTRIBUTES, Attributes
from utd_core.media.backend import JoinTicket, MediaControl
from utd_core.media.events import DisconnectReason, ParticipantInfo
from utd_core.media.notices import NotificationStream
from utd_core.media.profiles import Profile
from utd_core.media.signalling import SignallingDesk
from utd_core.model.permission import Grant

from .capabilities import MAX_DATA_BYTES
from .line import Caller
from .protocol import Data
from .rooms import Room, Stay
from .switchboard import Desk, Switchboard


class P2PControl(MediaControl):
    """`is_closed()` tells whether the backend that this half belongs to was closed."""

    def __init__(self, board: Switchboard, is_closed: Callable[[], bool]) -> None:
        self._board = board
        self._is_closed = is_closed

    async def create_room(self, room: str, *, max_participants: int | None = None) -> None:
        await self._begin()
        arguments.check_room(room)
        arguments.check_limit(max_participants)
        self._board.create_room(room, max_participants)

    async def close_room(self, room: str) -> None:
        await self._begin()
        arguments.check_room(room)
        self._board.close_room(room)

    async def list_rooms(self) -> list[str]:
        await self._begin()
        return list(self._board.rooms)

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
        await self._begin()
        arguments.check_room(room)
        arguments.check_identity(identity)
        arguments.check_grant(grant)
        arguments.check_profile(name=name, metadata=metadata, attributes=attributes)
        arguments.check_ttl(ttl)
        return self._board.issue(room, identity, grant, Profile(name, metadata, Attributes(attributes)), ttl)

    async def update_participant(
        self,
        room: str,
        identity: str,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        await self._begin()
        arguments.check_profile(name=name, metadata=metadata, attributes=attributes)
        place, stay = self._find(room, identity)
        profile = stay.profile.changed(name, metadata, attributes)
        arguments.check_attributes(profile.attributes)
        place.describe(stay, profile)

    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        await self._begin()
        arguments.check_grant(grant)
        place, stay = self._find(room, identity)
        if stay.grant_failures:
            stay.grant_failures -= 1
            raise MediaError(f"webrtc_p2p was told to fail the next grants of {identity!r}; try again")
        if stay.grant_delay:
            self._board.later(stay.grant_delay, lambda: place.apply_grant(stay, grant))
        else:
            place.apply_grant(stay, grant)

    async def mute_track(self, room: str, identity: str, track_id: str, muted: bool = True) -> None:
        await self._begin()
        place, stay = self._find(room, identity)
        track = stay.track(track_id)
        if track is None:
            raise NotFound(
                f"there is no track {track_id!r} among those of {identity!r}", code=ErrorCode.TRACK_NOT_FOUND
            )
        place.mute(stay, track, muted, by_server=True)

    async def remove_participant(self, room: str, identity: str) -> None:
        await self._begin()
        place, stay = self._find(room, identity)
        place.end(stay, DisconnectReason.REMOVED)

    async def list_participants(self, room: str) -> list[ParticipantInfo]:
        await self._begin()
        arguments.check_room(room)
        place = self._board.rooms.get(room)
        return [] if place is None else [stay.info() for stay in place.stays.values()]

    async def send_data(
        self, room: str, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        await self._begin()
        arguments.check_room(room)
        arguments.check_payload(payload, to, topic, limit=MAX_DATA_BYTES)
        arguments.check_label(topic, "a topic")
        place = self._board.rooms.get(room)
        message = Data.of(payload, topic, reliable)
        for stay in () if place is None else list(place.stays.values()):
            if to is None or stay.identity in to:
                stay.say(message)

    def notifications(self) -> NotificationStream:
        self._check_open()
        return self._board.listeners.listen()

    def signalling(self, room: str, identity: str) -> SignallingDesk:
        self._check_open()
        arguments.check_room(room)
        arguments.check_identity(identity)
        return Desk(self._board, Caller(room, identity))

    async def _begin(self) -> None:
        """See that there is a switchboard, and yield once, as a far one would make the caller wait."""
        self._check_open()
        await self._board.open()
        await asyncio.sleep(0)
        self._check_open()

    def _check_open(self) -> None:
        if self._is_closed():
            raise Closed("this webrtc_p2p backend was closed; make a new one")

    def _find(self, room: str, identity: str) -> tuple[Room, Stay]:
        arguments.check_room(room)
        arguments.check_identity(identity)
        return self._board.find(room, identity)
