"""The application's own channels: public, private, encrypted and presence ones, and those from the server to a user."""

from __future__ import annotations

from ...errors import Conflict
from . import frames
from .channel import Channel, Place, Surroundings, Talk
from .names import ChannelKind
from .presence import Change, Member, Members
from .roster import Roster
from .socket import Socket


class AppChannel(Channel):
    """Carries what the application triggers and what clients send each other. What was missed is not recovered."""

    def __init__(self, name: str, kind: ChannelKind, around: Surroundings) -> None:
        super().__init__(name, kind, around)
        self._most_members = around.settings.presence_members
        self._members: Members | None = None
        self._roster: Roster | None = None
        self._talk = Talk(self, around)
        if kind is ChannelKind.PRESENCE:
            self._members = Members()
            self._roster = Roster(name, self._members, around, self._changed_elsewhere)
            self._talk = Talk(self, around, self._roster)

    @property
    def members(self) -> Members | None:
        return self._members

    @property
    def roster(self) -> Roster | None:
        return self._roster

    async def join(self, socket: Socket, member: Member | None) -> None:
        """Let a socket follow, in a presence channel as the member. Raises `Conflict`, `Closed` or `Unavailable`."""
        await self.ready()
        # No wait from here on, so that everybody sees the same list.
        members = self._members
        if members is None or self._roster is None or member is None:
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
        self._roster.changed()

    def close(self) -> None:
        self._talk.close()

    async def _open(self) -> None:
        await self._talk.open()
        if self._roster is not None:
            await self._roster.open()

    def _left(self, place: Place) -> None:
        if self._members is None or self._roster is None or place.user_id is None:
            return
        if self._members.leave(place.user_id):
            self._tell(frames.member_removed(self.name, place.user_id), place.socket)
        self._roster.changed()

    def _changed_elsewhere(self, change: Change) -> None:
        for member in change.added:
            self._tell(frames.member_added(self.name, member.user_id, member.user_info))
        for user_id in change.removed:
            self._tell(frames.member_removed(self.name, user_id))

    def _tell(self, frame: frames.Frame, about: Socket | None = None) -> None:
        for socket in self.places:
            if socket is not about:
                socket.send(frame)
