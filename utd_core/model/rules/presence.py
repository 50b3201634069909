"""What follows for a room when somebody comes or goes."""

from __future__ import annotations

from ..command import Context
from ..event import Event
from ..roles import Role
from ..room import HostReturned, HostsLeft, Room, RoomEmptied, RoomOccupied
from ..seats import SeatLeft
from ..stage import StageJoined, StageLeft
from .settling import abandoned, settled


def host_present(room: Room, context: Context, *, without: str | None = None) -> bool:
    """Whether the owner or a host (other than `without`) is in the room."""
    return any(host in context.present for host in room.hosts if host != without)


def arrival(room: Room, context: Context, identity: str) -> list[Event]:
    """`identity` is in the room: it is not empty any more, a host ends the grace and stands on stage."""
    events: list[Event] = []
    if room.empty_since is not None:
        events.append(RoomOccupied())
    if room.roles and room.role(identity).is_host:
        if room.hostless_since is not None:
            events.append(HostReturned(identity))
        events += host_on_stage(room, context, identity, room.role(identity), identity)
    return events


def host_on_stage(room: Room, context: Context, identity: str, role: Role, by: str) -> list[Event]:
    """A host who is in a live stream stands on stage without asking."""
    if not room.has_stage or identity in room.stage:
        return []
    return [StageJoined(identity, role, by, context.now), *settled(room, identity, by)]


def departure(room: Room, context: Context, identity: str, reason: str, *, still_counted: bool = False) -> list[Event]:
    """`identity` is gone: its seat, stage place and requests end. `still_counted`: presence does not know it yet."""
    by = context.by
    events: list[Event] = []
    seat = room.grid.seat_of(identity)
    if seat is not None:
        events.append(SeatLeft(seat.index, identity, reason, by))
    if identity in room.stage:
        events.append(StageLeft(identity, reason, by))
    if room.requests:
        events += abandoned(room, identity, reason, by)
    if (
        room.hostless_since is None
        and room.role(identity).is_host
        and not host_present(room, context, without=identity)
    ):
        events.append(HostsLeft(context.now))
    others = len(context.present) - (1 if still_counted and identity in context.present else 0)
    if others == 0 and room.empty_since is None:
        events.append(RoomEmptied(context.now))
    return events
