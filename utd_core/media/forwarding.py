"""A control half that is not the backend's own: all of its calls take one way, to the half that answers them.

That way may lead to another process, or by something that looks on or gives rooms other names.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any

from ..model.permission import Grant
from .attributes import NO_ATTRIBUTES
from .backend import JoinTicket, MediaControl
from .events import ParticipantInfo


class ForwardingControl(MediaControl):
    """Everything that is awaited goes through `forward`. What is not (`notifications`, `receive`, `signalling`) is the
    deriving class's to say."""

    @abstractmethod
    async def forward(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Have `method` of another control half called, and return or raise what it does. The first of `arguments` is
        the room's name, for every method that takes one."""

    async def create_room(self, room: str, *, max_participants: int | None = None) -> None:
        await self.forward("create_room", room, max_participants=max_participants)

    async def close_room(self, room: str) -> None:
        await self.forward("close_room", room)

    async def list_rooms(self) -> list[str]:
        rooms: list[str] = await self.forward("list_rooms")
        return rooms

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
        described = {"name": name, "metadata": metadata, "attributes": attributes}
        ticket: JoinTicket = await self.forward("issue_join", room, identity, grant=grant, ttl=ttl, **described)
        return ticket

    async def update_participant(
        self,
        room: str,
        identity: str,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        described = {"name": name, "metadata": metadata, "attributes": attributes}
        await self.forward("update_participant", room, identity, **described)

    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        await self.forward("apply_grant", room, identity, grant)

    async def mute_track(self, room: str, identity: str, track_id: str, muted: bool = True) -> None:
        await self.forward("mute_track", room, identity, track_id, muted)

    async def remove_participant(self, room: str, identity: str) -> None:
        await self.forward("remove_participant", room, identity)

    async def list_participants(self, room: str) -> list[ParticipantInfo]:
        people: list[ParticipantInfo] = await self.forward("list_participants", room)
        return people

    async def send_data(
        self, room: str, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        await self.forward("send_data", room, payload, to=to, topic=topic, reliable=reliable)
