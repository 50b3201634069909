"""Hypothesis strategies for every command that is decided on a room.

Names, indices and ids come from small sets, so that commands meet each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

from utd_core.model.command import Command
from utd_core.model.commands import (
    AcceptRequest,
    CancelRequest,
    ClearSeat,
    CreateBan,
    CreateRoom,
    DeleteBan,
    DemoteFromStage,
    EndRoom,
    GetRoom,
    GetSeats,
    GetStage,
    GoLive,
    JoinRoom,
    LeaveRoom,
    LeaveSeat,
    LeaveStage,
    ListBans,
    ListParticipants,
    ListRequests,
    LockSeat,
    MakeRequest,
    MoveSeat,
    MuteParticipant,
    MuteSeat,
    OverrideCapability,
    PromoteToStage,
    RejectRequest,
    RemoveParticipant,
    ReserveSeat,
    SetRole,
    SetupSeats,
    StopLive,
    SwapSeats,
    TakeSeat,
    UnlockSeat,
    UnmuteSeat,
    UpdateMetadata,
)
from utd_core.model.identifiers import SERVER
from utd_core.model.request import RequestKind
from utd_core.model.roles import Capability, Role
from utd_core.model.room import DuplicateIdentity
from utd_core.model.seats import Seat, SeatMode
from utd_core.model.stream_type import UTDStreamType

from .world import LOUNGE, RoomWorld

T = TypeVar("T")

PEOPLE = ("ann", "bob", "cem", "dai", "eva", "fox")
DEVICES = ("phone", "tablet")
SEATS = 5

people = st.sampled_from(PEOPLE)
anybody = st.none() | people
indices = st.integers(0, SEATS)
any_index = st.just("any") | indices
flags = st.booleans()
maybe = st.none() | flags
seconds = st.sampled_from([1, 2.5, 10, 60, 300])


def seldom(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly left out."""
    return st.one_of(st.none(), st.none(), st.none(), strategy)


limits = seldom(seconds)
kinds = st.sampled_from(RequestKind)
roles = st.sampled_from(Role)
types = st.sampled_from([UTDStreamType.AUDIO_ROOM, UTDStreamType.AUDIO_ROOM, UTDStreamType.LIVE_STREAM])
ids = st.integers(1, 12)
bans = st.integers(1, 40).map(lambda number: f"ban-{number}")

options: dict[str, st.SearchStrategy[Any]] = {
    "seat_count": st.none() | st.integers(1, SEATS),
    "seat_mode": st.none() | st.sampled_from(SeatMode),
    "seat_video": maybe,
    "backstage": seldom(flags),
    "duplicate_identity": st.none() | st.sampled_from(DuplicateIdentity),
    "max_participants": seldom(st.integers(2, 5)),
    "max_duration": limits,
    "empty_timeout": limits,
    "host_left_grace": limits,
    "request_timeout": limits,
    "metadata": st.none()
    | st.dictionaries(st.sampled_from("ab"), st.none() | st.integers(0, 3) | st.just("…"), max_size=2),
}
stage_options = {name: option for name, option in options.items() if not name.startswith("seat_")}


def of(command: Callable[..., Command], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Command]:
    return st.builds(command, room=st.just(LOUNGE), **fields)


SEAT = st.one_of(
    of(TakeSeat, index=any_index),
    of(TakeSeat, index=any_index),
    of(LeaveSeat),
    of(MoveSeat, index=any_index, identity=anybody),
)
SEAT_MANAGING = st.one_of(
    of(SetupSeats, seat_count=options["seat_count"], seat_mode=options["seat_mode"]),
    of(SwapSeats, first=indices, second=indices),
    of(ClearSeat, index=indices),
    of(LockSeat, index=indices, take=flags, audio=flags, video=flags),
    of(UnlockSeat, index=indices, take=flags, audio=flags, video=flags),
    of(MuteSeat, index=indices, audio=flags, video=flags),
    of(UnmuteSeat, index=indices, audio=flags, video=flags),
    of(ReserveSeat, index=indices, identity=anybody),
)
STAGE = st.one_of(of(PromoteToStage, identity=people), of(DemoteFromStage, identity=people), of(LeaveStage))
ASKING = st.one_of(
    of(MakeRequest, kind=st.sampled_from([RequestKind.SPEAK, RequestKind.STAGE]), seat_index=seldom(indices)),
    of(MakeRequest, kind=kinds, to=people, seat_index=seldom(indices)),
    of(MakeRequest, kind=kinds, to=anybody),
)
ANSWERING = st.one_of(
    of(AcceptRequest, id=ids),
    of(AcceptRequest, id=ids, seat_index=seldom(indices)),
    of(RejectRequest, id=ids),
    of(CancelRequest, id=ids),
)
MODERATION = st.one_of(
    of(SetRole, identity=people, role=roles),
    of(OverrideCapability, role=roles, capability=st.sampled_from(Capability), allowed=maybe),
    of(MuteParticipant, identity=people, audio=maybe, video=maybe),
    of(RemoveParticipant, identity=people, block=flags, duration=limits),
    of(CreateBan, identity=people, duration=limits),
    of(DeleteBan, id=bans),
)
LIFE = st.one_of(
    of(GoLive),
    of(StopLive),
    of(
        UpdateMetadata,
        metadata=options["metadata"].map(lambda value: value or {}),
        revision=st.none() | st.integers(0, 2),
    ),
    of(LeaveRoom),
)
END = of(EndRoom)
ON_STAGE = {RequestKind.SPEAK: RequestKind.STAGE, RequestKind.SPEAK_INVITE: RequestKind.STAGE_INVITE}
QUERY = st.one_of(
    of(GetRoom),
    of(GetSeats),
    of(GetStage),
    of(ListRequests),
    of(ListParticipants),
    of(ListBans, limit=st.integers(1, 3)),
)
JOIN = st.one_of(
    of(JoinRoom, type=types, device_id=st.sampled_from(DEVICES)),
    of(JoinRoom, type=types, device_id=st.sampled_from(DEVICES)),
    of(JoinRoom, type=st.just(UTDStreamType.AUDIO_ROOM), as_host=st.just(True), **options),
    of(JoinRoom, type=st.just(UTDStreamType.LIVE_STREAM), as_host=st.just(True), **stage_options),
)
CREATE = st.one_of(
    of(CreateRoom, type=st.just(UTDStreamType.AUDIO_ROOM), owner=anybody, **options),
    of(CreateRoom, type=st.just(UTDStreamType.LIVE_STREAM), owner=anybody, **stage_options),
)

EVERYTHING = (SEAT, SEAT_MANAGING, STAGE, ASKING, ANSWERING, MODERATION, LIFE, END, QUERY, JOIN, CREATE)


def aimed(world: RoomWorld, data: st.DataObject, command: Command) -> tuple[str, Command, str]:
    """The command so changed that it may well be allowed (who gives it, the command, the device).

    It is given by somebody who is there and may, and is about somebody who is there, a request that is pending, a seat
    that is what it must be. Rank and all the rest are left to chance.
    """
    room, present = world.room, sorted(world.present)
    if not present:
        return SERVER, command, "phone"

    def one_of(*found: Sequence[T]) -> T:
        """One of the first that are not empty."""
        return data.draw(st.sampled_from(next(some for some in found if some)))

    def able(capability: Capability) -> list[str]:
        return [identity for identity in present if room.may(room.role(identity), capability)]

    def seats(is_one: Callable[[Seat], bool]) -> list[int]:
        return [seat.index for seat in room.grid.seats if is_one(seat)]

    by = one_of(present)
    changes: dict[str, Any] = {}
    capability = type(command).spec.capability
    if capability is not None:
        by = one_of(able(capability), present)
    if getattr(command, "identity", None) is not None:
        changes["identity"] = one_of(present)
    if room.has_seats:
        for name in ("index", "seat_index"):
            if isinstance(index := getattr(command, name, None), int):
                changes[name] = index % len(room.grid.seats)
    taken, seated = seats(lambda seat: seat.identity is not None), sorted(room.grid.occupants())
    match command:
        case MakeRequest(kind=kind):
            kind = kind if room.has_seats else ON_STAGE.get(kind, kind)
            by = by if kind.asks_the_room else one_of(able(Capability.MANAGE_REQUESTS), present)
            placed = kind in (RequestKind.OPEN_MICROPHONE, RequestKind.OPEN_CAMERA)
            to = None if kind.asks_the_room else one_of([*seated, *room.stage] if placed else [], present)
            changes |= {"kind": kind, "to": to}
        case AcceptRequest() | RejectRequest() | CancelRequest() if room.requests:
            request = room.requests[one_of(sorted(room.requests))]
            answers = [request.to] if request.to is not None else able(Capability.MANAGE_REQUESTS)
            by = one_of([request.sender] if isinstance(command, CancelRequest) else answers, present)
            changes["id"] = request.id
        case ClearSeat() | MuteSeat():
            changes["index"] = one_of(taken, [0])
        case UnmuteSeat():
            changes["index"] = one_of(seats(lambda seat: seat.muted_audio or seat.muted_video), taken, [0])
        case UnlockSeat():
            changes["index"] = one_of(seats(lambda seat: seat.locked or seat.audio_locked), [0])
        case SwapSeats():
            changes |= {"first": one_of(taken, [0]), "second": one_of(taken, [1])}
        case LeaveSeat() | MoveSeat(identity=None):
            by = one_of(seated, present)
        case MoveSeat():
            by, changes["identity"] = one_of(able(Capability.MANAGE_SEATS), present), one_of(seated, present)
        case LeaveStage():
            by = one_of(sorted(room.stage), present)
    return by, command.model_copy(update=changes), one_of(world.present.get(by, ()), DEVICES)
