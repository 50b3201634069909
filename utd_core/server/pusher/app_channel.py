"""The application's own channels: public, private, encrypted and presence ones, and those from the server to a user."""

from __future__ import annotations

from ...errors import Conflict
from . import frames
from .channel import Channel, Place, Surroundings, Talk
from .names import ChannelKind
from .presence import Member, Members
from .socket import Socket


class AppChannel(Channel):
    """Carries what the application triggers and what clients send each other. What was missed is not recovered."""

    def __init__(self, name: str, kind: ChannelKind, around: Surroundings) -> None:
        super().__init__(name, kind, around)
        self._talk = Talk(self, around)
        self._most_members = around.settings.presence_members
        self._members = Members() if kind is ChannelKind.PRESENCE else None

    @property
    def members(self) -> Members | None:
        return self._members

    async def join(self, socket: Socket, member: Member | None) -> None:
        """Let a socket follow, in a presence channel as the member. Raises `Conflict`, `Closed` or `StoreFailed`."""
        await self.ready()
        # No wait from here on, so that everybody sees the same list.
        members = self._members
        if members is None or member is None:
            self._take(Place(self, socket))
            socket.send(frames.subscribed(self.name))
            return
        if member.user_id not in members and len(members) >= self._most_members:
            raise Conflict(f"{self.name!r} has {len(members)} members, as many as a presence channel may")
        self._take(Place(self, socket, member.user_id))
        is_new = members.join(member)
        socket.send(frames.subscribed(self.name, members.as_data()))
        if is_new:
            self._tell(frames.member_added(self.name, member.user_id, member.user_info), socket)

    def close(self) -> None:
        self._talk.close()

    async def _open(self) -> None:
        await self._talk.open()

    def _left(self, place: Place) -> None:
        if self._members is not None and place.user_id is not None and self._members.leave(place.user_id):
            self._tell(frames.member_removed(self.name, place.user_id), place.socket)

    def _tell(self, frame: frames.Frame, about: Socket) -> None:
        for socket in self.places:
            if socket is not about:
                socket.send(frame)
