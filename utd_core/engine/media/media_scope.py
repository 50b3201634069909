"""The rooms of one project on a media backend that it may share with other projects.

- A media room is named after its room or call; those of all projects but `embedded` have the app id before that:
  `$shop/lobby`. No room's name begins with `$`, and no app id holds a slash, so no two are alike.
- What the backend tells of other rooms is none of this engine's business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import replace

from ...media.attributes import NO_ATTRIBUTES
from ...media.backend import JoinTicket, MediaControl
from ...media.events import Notification, ParticipantInfo
from ...media.signalling import SignallingDesk
from ...model.identifiers import DEFAULT_PROJECT
from ...model.permission import Grant

_MARK = "$"


def prefix_of(app_id: str) -> str:
    """What the media rooms of a project begin with."""
    return "" if app_id == DEFAULT_PROJECT else f"{_MARK}{app_id}/"


def app_id_of(room: str) -> str:
    """The project that a room of the backend is of."""
    return room.removeprefix(_MARK).partition("/")[0] if room.startswith(_MARK) else DEFAULT_PROJECT


class ProjectControl(MediaControl):
    """The control half of a backend, as a project has it: with its own rooms, by their own names."""

    def __init__(self, control: MediaControl, app_id: str) -> None:
        self._control = control
        self._prefix = prefix_of(app_id)

    def own(self, room: str) -> str | None:
        """What the project calls a room of the backend; None where it is another's."""
        if not self._prefix:
            return None if room.startswith(_MARK) else room
        return room.removeprefix(self._prefix) if room.startswith(self._prefix) else None

    async def create_room(self, room: str, *, max_participants: int | None = None) -> None:
        await self._control.create_room(self._prefix + room, max_participants=max_participants)

    async def close_room(self, room: str) -> None:
        await self._control.close_room(self._prefix + room)

    async def list_rooms(self) -> list[str]:
        return [own for room in await self._control.list_rooms() if (own := self.own(room)) is not None]

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
        return await self._control.issue_join(
            self._prefix + room,
            identity,
            grant=grant,
            name=name,
            ttl=ttl,
            metadata=metadata,
            attributes=attributes,
        )

    async def update_participant(
        self,
        room: str,
        identity: str,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        await self._control.update_participant(
            self._prefix + room, identity, name=name, metadata=metadata, attributes=attributes
        )

    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        await self._control.apply_grant(self._prefix + room, identity, grant)

    async def mute_track(self, room: str, identity: str, track_id: str, muted: bool = True) -> None:
        await self._control.mute_track(self._prefix + room, identity, track_id, muted)

    async def remove_participant(self, room: str, identity: str) -> None:
        await self._control.remove_participant(self._prefix + room, identity)

    async def list_participants(self, room: str) -> list[ParticipantInfo]:
        return await self._control.list_participants(self._prefix + room)

    async def send_data(
        self, room: str, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        await self._control.send_data(self._prefix + room, payload, to=to, topic=topic, reliable=reliable)

    def notifications(self) -> AsyncIterator[Notification]:
        return _Own(self._control.notifications(), self)

    def receive(self, body: bytes, headers: Mapping[str, str]) -> None:
        self._control.receive(body, headers)

    def signalling(self, room: str, identity: str) -> SignallingDesk:
        return self._control.signalling(self._prefix + room, identity)


class _Own:
    """Those of all notifications that are about a project's own rooms."""

    def __init__(self, every: AsyncIterator[Notification], control: ProjectControl) -> None:
        self._every = every
        self._control = control

    def __aiter__(self) -> AsyncIterator[Notification]:
        return self

    async def __anext__(self) -> Notification:
        while True:
            notification = await anext(self._every)
            own = self._control.own(notification.room)
            if own == notification.room:
                return notification
            if own is not None:
                return replace(notification, room=own)
