"""Seats of an audio room."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..command import Aggregate, command
from ..identifiers import DisplayName, Identity, Reason
from ..roles import Capability
from ..seats import Seat, SeatGrid, SeatMode
from .fields import AnySeatIndex, SeatCount, SeatIndex
from .rooms import RoomCommand

_SEATS = "/rooms/{room}/seats"


class SeatCommand(RoomCommand):
    """Anything about one seat."""

    index: SeatIndex


class LockCommand(SeatCommand):
    """The parts of a lock that are meant."""

    take: bool = True
    audio: bool = False
    video: bool = False


class MuteCommand(SeatCommand):
    """The devices that are meant."""

    audio: bool = True
    video: bool = False


@command("GET", _SEATS, aggregate=Aggregate.ROOM, result=SeatGrid)
class GetSeats(RoomCommand):
    """The seat grid."""


@command("POST", _SEATS + "/setup", aggregate=Aggregate.ROOM, result=SeatGrid, capability=Capability.MANAGE_SEATS)
class SetupSeats(RoomCommand):
    """Change number and mode of the seats; those on removed seats leave them."""

    seat_count: SeatCount | None = None
    seat_mode: Annotated[SeatMode, Field(strict=False)] | None = None
    mode_id: DisplayName | None = None


@command("POST", _SEATS + "/{index}/take", aggregate=Aggregate.ROOM, result=Seat, presence=True)
class TakeSeat(RoomCommand):
    """Take a seat (`any`: the first free one). The engine then grants publish.

    Needs `take_seat` in free mode and `take_seat_directly` in request mode, but for a seat reserved for the actor.
    """

    index: AnySeatIndex = "any"


@command("POST", _SEATS + "/leave", aggregate=Aggregate.ROOM, presence=True)
class LeaveSeat(RoomCommand):
    """Leave the own seat."""


@command("POST", _SEATS + "/move", aggregate=Aggregate.ROOM, result=Seat, presence=True)
class MoveSeat(RoomCommand):
    """Move to another seat in one step: the own one, or with `manage_seats` that of `identity`."""

    index: AnySeatIndex = "any"
    identity: Identity | None = None


@command("POST", _SEATS + "/swap", aggregate=Aggregate.ROOM, result=SeatGrid, capability=Capability.MANAGE_SEATS)
class SwapSeats(RoomCommand):
    """Swap the occupants of two taken seats in one step."""

    first: SeatIndex
    second: SeatIndex


@command("POST", _SEATS + "/{index}/kick", aggregate=Aggregate.ROOM, result=Seat, capability=Capability.MANAGE_SEATS)
class ClearSeat(SeatCommand):
    """Send the occupant back to the audience."""

    reason: Reason = "removed"


@command("POST", _SEATS + "/{index}/lock", aggregate=Aggregate.ROOM, result=Seat, capability=Capability.MANAGE_SEATS)
class LockSeat(LockCommand):
    """Lock parts of a seat; locking `take` evicts the occupant first."""


@command("POST", _SEATS + "/{index}/unlock", aggregate=Aggregate.ROOM, result=Seat, capability=Capability.MANAGE_SEATS)
class UnlockSeat(LockCommand):
    """Unlock parts of a seat."""


@command("POST", _SEATS + "/{index}/mute", aggregate=Aggregate.ROOM, result=Seat, capability=Capability.MUTE)
class MuteSeat(MuteCommand):
    """Take microphone or camera from the occupant until it is unmuted or leaves."""


@command("POST", _SEATS + "/{index}/unmute", aggregate=Aggregate.ROOM, result=Seat, capability=Capability.MUTE)
class UnmuteSeat(MuteCommand):
    """Allow them again; the occupant opens the device."""


@command("POST", _SEATS + "/{index}/reserve", aggregate=Aggregate.ROOM, result=Seat, capability=Capability.MANAGE_SEATS)
class ReserveSeat(SeatCommand):
    """Keep a seat for one identity; None lifts the reservation."""

    identity: Identity | None
