"""Places in media rooms, on paper: what a participant needs to connect."""

from __future__ import annotations

from dataclasses import replace

from ...errors import Conflict, ErrorCode, MediaError, UTDStreamException
from ...model.call import Call, UTDCallStatus, media_room
from ...model.command import Actor
from ...model.results import UTDCall, UTDTokenResponse
from ...model.room import Room
from ..core import Core, States
from ..deciding.idempotency import Placed
from ..identity.generations import Generations
from ..identity.tokens import UserTokens
from ..kinds import CALL, ROOM
from ..timing.alarms import within
from .attendance import Attendance
from .media_rooms import MediaRooms, owner_of
from .presence import Place, PlaceState
from .reconciler import Reconciler, grant_in, is_over, max_participants


class Tickets:
    """Issues them after the decision, outside the pipeline: the media backend may take its time."""

    def __init__(
        self,
        core: Core,
        states: States,
        media_rooms: MediaRooms,
        reconciler: Reconciler,
        attendance: Attendance,
        tokens: UserTokens,
        generations: Generations,
    ) -> None:
        self._core = core
        self._states = states
        self._media_rooms = media_rooms
        self._reconciler = reconciler
        self._attendance = attendance
        self._tokens = tokens
        self._generations = generations

    async def for_room(self, placed: Placed, actor: Actor) -> UTDTokenResponse:
        """A ticket for somebody who has a place.

        Raises `MediaError`, `DeadlineExceeded` when the backend does not answer, or `Conflict` when the place is gone.
        """
        presence = self._core.presences.get(placed.room)
        place = None if presence is None else presence.place(placed.identity, placed.device)
        if place is None:
            raise _gone(placed.identity, placed.room)
        try:
            ticket = await self._in_time(placed.room, actor, place)
        except UTDStreamException:
            # Somebody who had no ticket before has nothing to come with.
            if placed.fresh and place.granted is None:
                self._attendance.give_up(placed.room, placed.identity, place)
            raise
        room = self._states.peek(ROOM, placed.room)
        return replace(ticket, role=room.role(placed.identity)) if isinstance(room, Room) else ticket

    async def for_call(self, view: UTDCall, actor: Actor) -> UTDCall:
        """The call with a ticket, for the party that may connect on this device now. Raises as `for_room` does."""
        call = await self._states.state(CALL, view.call_id)
        presence = self._core.presences.get(view.room_name)
        if presence is None or not isinstance(call, Call) or not _may_connect(call, actor):
            return view
        place = presence.place(actor.identity, actor.device)
        if place is None:
            now = self._core.clock.now()
            place = presence.enter(actor.identity, actor.device, actor.name, now, now)
        try:
            return replace(view, ticket=await self._in_time(media_room(call.id), actor, place))
        except Conflict:
            # It ended while the ticket was made; the events tell why.
            return view

    async def _in_time(self, room: str, actor: Actor, place: Place) -> UTDTokenResponse:
        """A ticket. Raises `MediaError`, or `DeadlineExceeded` when the backend does not answer."""
        core = self._core
        try:
            return await within(core.agenda, core.settings.backend_timeout, self._issue, room, actor, place)
        except UTDStreamException:
            raise
        except Exception as error:
            raise MediaError(f"backend {core.backend.name!r} failed to make a ticket: {error}") from error

    async def _issue(self, room: str, actor: Actor, place: Place) -> UTDTokenResponse:
        core, identity = self._core, actor.identity
        # Never a later one than that of the token which was shown: this is no way around a ban.
        generation = await self._generations.current(identity) if actor.generation is None else actor.generation
        kind, key = owner_of(room)
        presence = core.presences[room]
        media_identity = presence.media_identity(identity, place.device)
        state = await self._states.state(kind, key)
        if state is not None:
            await self._media_rooms.ensure(room, max_participants(state))
        await self._reconciler.quiet(room, media_identity)
        state = await self._states.state(kind, key)
        if state is None or is_over(state) or presence.place(identity, place.device) is not place:
            raise _gone(identity, room)
        grant = grant_in(state, identity)
        ttl, before = core.settings.ticket_ttl, place.granted
        # Noted before it is made: a change from here on is seen as a difference when the connection comes.
        if place.state is PlaceState.PENDING:
            place.granted = grant
        try:
            ticket = await core.control.issue_join(room, media_identity, grant=grant, name=actor.name, ttl=ttl)
        except BaseException:
            place.granted = before
            raise
        if core.presences.get(room) is not presence or presence.place(identity, place.device) is not place:
            raise _gone(identity, room)
        if place.state is PlaceState.PENDING:
            self._attendance.expect(room, identity, place, ttl)
        user_token = self._tokens.issue(actor, self._tokens.terms(generation))
        return UTDTokenResponse(
            token=ticket.token,
            url=ticket.url,
            room_name=room,
            user_token=user_token,
            ws_url=None,
            backend=core.backend.name,
            expires_at=ticket.expires_at,
            many_devices=presence.many,
        )


def _may_connect(call: Call, actor: Actor) -> bool:
    if actor.identity == call.caller:
        return not call.status.is_terminal and actor.device == call.caller_device
    return call.status is UTDCallStatus.ACTIVE and (actor.identity, actor.device) == (call.callee, call.callee_device)


def _gone(identity: str, room: str) -> Conflict:
    return Conflict(f"{identity!r} has no place in {room!r} any more; join again", code=ErrorCode.NOT_JOINED)
