"""Who may follow which channel, and for how long.

- A person's channel: that person. A call's: its two parties. A room's: who is in it, and who may moderate it.
- The application's server may follow every channel.
- Whoever leaves a room, or is removed from it, hears of it and nothing after it.
"""

from __future__ import annotations

from collections import defaultdict

from ..broker.base import Recover, Subscription
from ..errors import Conflict, ErrorCode, Forbidden, InvalidInput, NotFound
from ..model.call import Call
from ..model.channels import call_channel, room_channel, user_channel
from ..model.command import Actor
from ..model.roles import Role
from ..model.room import Phase, Room
from .core import Core, States
from .kinds import CALL, ROOM

_ROOM, _CALL, _USER = room_channel(""), call_channel(""), user_channel("")


class Subscriptions:
    """Checks, and keeps the subscriptions of rooms by identity."""

    def __init__(self, core: Core, states: States) -> None:
        self._core = core
        self._states = states
        self._broker = core.broker
        self._held: dict[str, dict[str, set[_Entry]]] = defaultdict(dict)
        self._entries: dict[int, _Entry] = {}

    async def subscribe(self, channel: str, actor: Actor, recover: Recover | None, capacity: int) -> Subscription:
        """Raises `Forbidden`, `Conflict` (not_joined), `NotFound` or `InvalidInput`."""
        await self._check(channel, actor)
        subscription = await self._broker.subscribe(channel, recover=recover, capacity=capacity)
        if not actor.is_trusted and channel.startswith(_ROOM):
            try:
                # While the broker was answering, the actor may have been removed.
                await self._check(channel, actor)
            except BaseException:
                self._broker.unsubscribe(subscription)
                raise
            entry = _Entry(channel, actor.identity, subscription)
            self._entries[id(subscription)] = entry
            self._held[channel].setdefault(actor.identity, set()).add(entry)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Idempotent."""
        entry = self._entries.get(id(subscription))
        if entry is not None:
            self._forget(entry)
        self._broker.unsubscribe(subscription)

    def end(self, room: str, identity: str, error: Exception | None = None) -> None:
        """The identity is not in the room any more; what was published up to now is still read."""
        channel = room_channel(room)
        for entry in list(self._held.get(channel, {}).get(identity, ())):
            self._end(entry, error)

    def end_room(self, room: str) -> None:
        """The room has ended, for everybody."""
        for entries in list(self._held.get(room_channel(room), {}).values()):
            for entry in list(entries):
                self._end(entry, None)

    def __len__(self) -> int:
        return len(self._entries)

    def _end(self, entry: _Entry, error: Exception | None) -> None:
        self._forget(entry)
        entry.subscription.events.close(error)
        self._broker.unsubscribe(entry.subscription)

    def _forget(self, entry: _Entry) -> None:
        del self._entries[id(entry.subscription)]
        by_identity = self._held[entry.channel]
        entries = by_identity[entry.identity]
        entries.discard(entry)
        if not entries:
            del by_identity[entry.identity]
            if not by_identity:
                del self._held[entry.channel]

    async def _check(self, channel: str, actor: Actor) -> None:
        if channel.startswith(_USER):
            if not actor.is_trusted and channel != user_channel(actor.identity):
                raise Forbidden(f"{channel!r} is somebody else's; follow your own")
        elif channel.startswith(_ROOM):
            self._check_room(await self._states.state(ROOM, channel[len(_ROOM) :]), actor)
        elif channel.startswith(_CALL):
            self._check_call(await self._states.state(CALL, channel[len(_CALL) :]), actor)
        else:
            raise InvalidInput(
                f"there is no channel {channel!r:.200}; the engine's begin with {_ROOM}, {_CALL} or {_USER}"
            )

    def _check_room(self, room: Room | None, actor: Actor) -> None:
        if room is None:
            raise NotFound("there is no such room", code=ErrorCode.ROOM_NOT_FOUND)
        if actor.is_trusted:
            return
        moderates = room.role(actor.identity).rank >= Role.ADMIN.rank and room.phase is not Phase.ENDED
        if not moderates and actor.identity not in self._core.presences.get(room.name, ()):
            raise Conflict(f"{actor.identity!r} is not in room {room.name!r}; join first", code=ErrorCode.NOT_JOINED)

    def _check_call(self, call: Call | None, actor: Actor) -> None:
        if call is None or not (actor.is_trusted or call.is_party(actor.identity)):
            raise NotFound("there is no such call, or it is not yours", code=ErrorCode.CALL_NOT_FOUND)


class _Entry:
    """One actor's subscription to a room's channel."""

    __slots__ = ("channel", "identity", "subscription")

    def __init__(self, channel: str, identity: str, subscription: Subscription) -> None:
        self.channel = channel
        self.identity = identity
        self.subscription = subscription
