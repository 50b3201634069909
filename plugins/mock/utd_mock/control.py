"""The server half: what the engine does with the mock server. Every call is written into the server's trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from utd_core.errors import Closed, MediaError, UTDStreamException
from utd_core.media import arguments
from utd_core.media.attributes import NO_ATTRIBUTES, Attributes
from utd_core.media.backend import JoinTicket, MediaControl
from utd_core.media.events import DisconnectReason, ParticipantInfo
from utd_core.media.notices import NotificationStream
from utd_core.media.profiles import Profile
from utd_core.media.tokens import Claims
from utd_core.model.permission import Grant

from .capabilities import MAX_DATA_BYTES
from .rooms import Participant
from .server import MockServer
from .snapshots import ControlCall


class MockControl(MediaControl):
    """`is_closed()` tells whether the backend that this half belongs to was closed."""

    def __init__(self, server: MockServer, is_closed: Callable[[], bool]) -> None:
        self._server = server
        self._is_closed = is_closed

    async def create_room(self, room: str, *, max_participants: int | None = None) -> None:
        await self._begin()
        with self._traced("create_room", room, max_participants=max_participants):
            arguments.check_room(room)
            arguments.check_limit(max_participants)
            self._server.create_room(room, max_participants)

    async def close_room(self, room: str) -> None:
        await self._begin()
        with self._traced("close_room", room):
            arguments.check_room(room)
            self._server.close_room(room)

    async def list_rooms(self) -> list[str]:
        await self._begin()
        with self._traced("list_rooms"):
            return self._server.room_names()

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
        with self._traced(
            "issue_join",
            room,
            identity,
            grant=grant,
            name=name,
            ttl=ttl,
            metadata=metadata,
            attributes=attributes,
        ):
            arguments.check_room(room)
            arguments.check_identity(identity)
            arguments.check_grant(grant)
            arguments.check_ttl(ttl)
            arguments.check_profile(name=name, metadata=metadata, attributes=attributes)
            expires_at = self._server.clock.now() + ttl
            profile = Profile(name, metadata, Attributes(attributes))
            return self._server.issue_join(Claims(room, identity, profile, grant, expires_at))

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
        with self._traced("update_participant", room, identity, name=name, metadata=metadata, attributes=attributes):
            arguments.check_profile(name=name, metadata=metadata, attributes=attributes)
            self._server.update_profile(self._participant(room, identity), name, metadata, attributes)

    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        await self._begin()
        with self._traced("apply_grant", room, identity, grant=grant):
            arguments.check_grant(grant)
            participant = self._participant(room, identity)
            if participant.grant_failures:
                participant.grant_failures -= 1
                raise MediaError(f"the mock was told to fail the next grants of {identity!r}; try again")
            if participant.grant_delay:
                participant.link.after(participant.grant_delay, lambda: self._server.apply_grant(participant, grant))
            else:
                self._server.apply_grant(participant, grant)

    async def mute_track(self, room: str, identity: str, track_id: str, muted: bool = True) -> None:
        await self._begin()
        with self._traced("mute_track", room, identity, track_id=track_id, muted=muted):
            track = self._server.tracks.published_track(self._participant(room, identity), track_id)
            self._server.tracks.set_muted(track, muted, by_server=True)

    async def remove_participant(self, room: str, identity: str) -> None:
        await self._begin()
        with self._traced("remove_participant", room, identity):
            self._server.disconnect(self._participant(room, identity), DisconnectReason.REMOVED)

    async def list_participants(self, room: str) -> list[ParticipantInfo]:
        await self._begin()
        with self._traced("list_participants", room):
            arguments.check_room(room)
            return [participant.info() for participant in self._server.participants(room)]

    async def send_data(
        self, room: str, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        await self._begin()
        with self._traced("send_data", room, to=to, topic=topic, reliable=reliable):
            arguments.check_room(room)
            arguments.check_payload(payload, to, topic, limit=MAX_DATA_BYTES)
            self._server.send_data(None, self._server.participants(room), payload, to, topic, reliable)

    def notifications(self) -> NotificationStream:
        self._check_open()
        return self._server.listeners.listen()

    async def _begin(self) -> None:
        """See that there is a server, and yield once, as a real one would make the caller wait."""
        self._check_open()
        await self._server.open()
        await asyncio.sleep(0)
        self._check_open()
        self._server.check_open()

    def _check_open(self) -> None:
        if self._is_closed():
            raise Closed("this mock backend was closed; make a new one")

    def _participant(self, room: str, identity: str) -> Participant:
        arguments.check_room(room)
        arguments.check_identity(identity)
        return self._server.participant(room, identity)

    @contextmanager
    def _traced(
        self, method: str, room: str | None = None, identity: str | None = None, **arguments: Any
    ) -> Iterator[None]:
        error: str | None = None
        try:
            yield
        except UTDStreamException as refusal:
            error = type(refusal).__name__
            raise
        finally:
            self._server.trace.append(ControlCall(self._server.clock.now(), method, room, identity, arguments, error))
