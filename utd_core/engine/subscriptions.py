"""Who may follow which channel, and for how long.

- A person's channel: that person. A call's: its two parties. A room's: who is in it, and who may moderate it and is not
  banned.
- The application's server may follow every channel.
- Whoever leaves a room, or is removed from it, hears of it and nothing after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from ..broker.base import Recover, Subscription
from ..errors import Conflict, ErrorCode, Forbidden, NotFound
from ..model.bans import check_not_banned
from ..model.call import Call
from ..model.channels import call_channel, check_channel, room_channel, user_channel
from ..model.command import Actor
from ..model.roles import Role
from ..model.room import Phase, Room
from .core import Core, States
from .kinds import CALL, ROOM

_ROOM, _CALL = room_channel(""), call_channel("")


class Subscriptions:
    """Checks, and keeps the subscriptions of rooms by identity."""

    def __init__(self, core: Core, states: States) -> None:
        self._core = core
        self._states = states
        self._broker = core.broker
        self._held: dict[str, dict[str, set[Admission]]] = defaultdict(dict)
        self._admitted: dict[Subscription, Admission] = {}

    async def subscribe(self, channel: str, actor: Actor, recover: Recover | None, capacity: int) -> Subscription:
        """Raises `Forbidden`, `Banned`, `Conflict` (not_joined), `NotFound` or `InvalidInput`."""
        await self._check(channel, actor)
        subscription = await self._broker.subscribe(channel, recover=recover, capacity=capacity)

        def ended(error: Exception | None) -> None:
            self._admitted.pop(subscription, None)
            subscription.events.close(error)
            self._broker.unsubscribe(subscription)

        try:
            # While the broker was answering, the actor may have been removed.
            self._admitted[subscription] = await self.admit(channel, actor, ended)
        except BaseException:
            self._broker.unsubscribe(subscription)
            raise
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Idempotent."""
        admission = self._admitted.pop(subscription, None)
        if admission is not None:
            self.dismiss(admission)
        self._broker.unsubscribe(subscription)

    async def admit(self, channel: str, actor: Actor, ended: Callable[[Exception | None], None]) -> Admission:
        """Let the actor follow a channel by other means than a subscription; `ended` is called, once, as soon as it may
        no more: with the error to tell it, or None when there is nothing more to follow. Raises as `subscribe` does."""
        await self._check(channel, actor)
        admission = Admission(channel, actor.identity, ended)
        if not actor.is_trusted and channel.startswith(_ROOM):
            self._held[channel].setdefault(actor.identity, set()).add(admission)
        return admission

    def dismiss(self, admission: Admission) -> None:
        """The actor follows no longer; nobody is told. Idempotent."""
        by_identity = self._held.get(admission.channel)
        admissions = None if by_identity is None else by_identity.get(admission.identity)
        if by_identity is None or admissions is None:
            return
        admissions.discard(admission)
        if not admissions:
            del by_identity[admission.identity]
            if not by_identity:
                del self._held[admission.channel]

    def end(self, room: str, identity: str, error: Exception | None = None) -> None:
        """The identity is not in the room any more; what was published up to now is still read."""
        channel = room_channel(room)
        for admission in list(self._held.get(channel, {}).get(identity, ())):
            self._end(admission, error)

    def end_all(self, identity: str, error: Exception) -> None:
        """The identity may follow no room any more."""
        for by_identity in list(self._held.values()):
            for admission in list(by_identity.get(identity, ())):
                self._end(admission, error)

    def end_room(self, room: str) -> None:
        """The room has ended, for everybody."""
        for admissions in list(self._held.get(room_channel(room), {}).values()):
            for admission in list(admissions):
                self._end(admission, None)

    def __len__(self) -> int:
        """How many follow a room."""
        return sum(len(admissions) for by_identity in self._held.values() for admissions in by_identity.values())

    def _end(self, admission: Admission, error: Exception | None) -> None:
        self.dismiss(admission)
        admission.ended(error)

    async def _check(self, channel: str, actor: Actor) -> None:
        # No store is asked for a name that is none: PostgreSQL, for one, cannot even be asked for "\0".
        check_channel(channel)
        if channel.startswith(_ROOM):
            self._check_room(await self._states.state(ROOM, channel.removeprefix(_ROOM)), actor)
        elif channel.startswith(_CALL):
            self._check_call(await self._states.state(CALL, channel.removeprefix(_CALL)), actor)
        elif not actor.is_trusted and channel != user_channel(actor.identity):
            raise Forbidden(f"{channel!r} is somebody else's; follow your own")

    def _check_room(self, room: Room | None, actor: Actor) -> None:
        if room is None:
            raise NotFound("there is no such room", code=ErrorCode.ROOM_NOT_FOUND)
        if actor.is_trusted:
            return
        if actor.identity in self._core.presences.get(room.name, ()):
            return
        for bans in (room.bans, self._core.bans):
            check_not_banned(bans, actor.identity, self._core.clock.now())
        moderates = room.role(actor.identity).rank >= Role.ADMIN.rank and room.phase is not Phase.ENDED
        if not moderates:
            raise Conflict(f"{actor.identity!r} is not in room {room.name!r}; join first", code=ErrorCode.NOT_JOINED)

    def _check_call(self, call: Call | None, actor: Actor) -> None:
        if call is None or not (actor.is_trusted or call.is_party(actor.identity)):
            raise NotFound("there is no such call, or it is not yours", code=ErrorCode.CALL_NOT_FOUND)


class Admission:
    """One actor's right to follow a channel, for as long as it holds."""

    __slots__ = ("channel", "ended", "identity")

    def __init__(self, channel: str, identity: str, ended: Callable[[Exception | None], None]) -> None:
        self.channel = channel
        self.identity = identity
        self.ended = ended
