"""For each row of the matrix in `authorization.py` a room in which the command succeeds, if only the actor may give it.

A scene arranges the room without asking the rules, and answers the command. In the room are `founder` (its owner, where
the actor is not), `target` and `other` (audience), and the actor, unless it is a stranger or the server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from utd_core.model.bans import Ban, BanMade, BanScope
from utd_core.model.command import Command
from utd_core.model.commands import (
    COMMANDS,
    AcceptRequest,
    CancelRequest,
    ClearSeat,
    CreateBan,
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
    ListRooms,
    LockSeat,
    MakeRequest,
    MoveSeat,
    MuteParticipant,
    MuteSeat,
    PromoteToStage,
    RejectRequest,
    SetRole,
    StopLive,
    SwapSeats,
    TakeSeat,
    UnlockSeat,
    UnmuteSeat,
)
from utd_core.model.identifiers import SERVER
from utd_core.model.request import RequestKind
from utd_core.model.roles import Role
from utd_core.model.room import StoppedLive
from utd_core.model.seats import SeatLockChanged, SeatMode, SeatMuteChanged, SeatReserved, SeatsSetUp
from utd_core.model.stage import StageLeft
from utd_core.model.stream_type import UTDStreamType

from .world import LOUNGE, START, RoomWorld

ACTOR = "actor"
Scene = Callable[[RoomWorld, str], Command]
SCENES: dict[str, tuple[UTDStreamType, Scene]] = {}


def arrange(name: str, role: str) -> tuple[RoomWorld, str, Command]:
    """The world, the actor in it, and the command that it will give."""
    type, scene = SCENES[name]
    world = RoomWorld()
    actor = SERVER if role == "server" else ACTOR
    if name.startswith("create_room"):
        return world, actor, scene(world, actor)
    world.create(type, owner=ACTOR if role == "owner" else "founder")
    world.join("target", "other")
    if role in ("owner", "host", "admin", "speaker", "audience"):
        world.join(ACTOR)
    if role in ("host", "admin", "speaker"):
        world.role(ACTOR, Role(role))
    return world, actor, scene(world, actor)


def is_of_a_room(name: str) -> bool:
    """Whether the command of a scene is decided on the room, not on the project."""
    return "room" in COMMANDS[name.partition(":")[0]].model_fields and not name.endswith(":project")


def scene(name: str, type: UTDStreamType = UTDStreamType.AUDIO_ROOM) -> Callable[[Scene], Scene]:
    def enter(function: Scene) -> Scene:
        assert name not in SCENES, f"the scene of {name} is declared twice"
        SCENES[name] = type, function
        return function

    return enter


def _plain(name: str, **fields: Any) -> None:
    """A command that succeeds in the room as it is."""
    kind = COMMANDS[name.partition(":")[0]]
    if "room" in kind.model_fields and kind.model_fields["room"].is_required():
        fields["room"] = LOUNGE
    scene(name)(lambda world, actor: kind(**fields))


for _kind in (EndRoom, GetRoom, GetSeats, GetStage, LeaveRoom, ListParticipants, ListRequests, ListRooms, StopLive):
    _plain(_kind.spec.name)
_plain("create_session", identity="anybody")
_plain("create_room", type="audio_room")
_plain("create_room:for_another", type="audio_room", owner="another")
_plain("join_room", type="audio_room")
_plain("join_room:as_host", type="audio_room", as_host=True)
_plain("join_room:with_seats", type="audio_room", as_host=True, seat_count=5)
_plain("update_metadata", metadata={"topic": "birds"})
_plain("setup_seats", seat_count=5)
_plain("take_seat", index=0)
_plain("lock_seat", index=0)
_plain("reserve_seat", index=0, identity="other")
_plain("make_request", kind="speak")
_plain("make_request:invitation", kind="speak_invite", to="target")
_plain("override_capability", role="audience", capability="ask", allowed=False)
_plain("remove_participant", identity="target")
_plain("remove_participant:block", identity="target", block=True)
_plain("create_ban:project", identity="target")
_plain("list_bans:project")
_plain("delete_ban:project", id="no-such-ban")


@scene("join_room:backstage")
def join_backstage(world: RoomWorld, actor: str) -> Command:
    world.apply(StoppedLive(SERVER, START))
    return JoinRoom(room=LOUNGE, type=UTDStreamType.AUDIO_ROOM)


@scene("go_live")
def go_live(world: RoomWorld, actor: str) -> Command:
    world.apply(StoppedLive(SERVER, START))
    return GoLive(room=LOUNGE)


def by_request(world: RoomWorld) -> None:
    grid = world.room.grid
    world.apply(SeatsSetUp(len(grid.seats), SeatMode.REQUEST, grid.mode_id, SERVER))


@scene("take_seat:request_mode")
def take_without_asking(world: RoomWorld, actor: str) -> Command:
    by_request(world)
    return TakeSeat(room=LOUNGE, index=0)


@scene("take_seat:reserved")
def take_the_own_reserved_seat(world: RoomWorld, actor: str) -> Command:
    by_request(world)
    world.apply(SeatReserved(0, actor, SERVER))
    return TakeSeat(room=LOUNGE, index=0)


@scene("leave_seat")
def leave_seat(world: RoomWorld, actor: str) -> Command:
    world.seat(actor, 0)
    return LeaveSeat(room=LOUNGE)


@scene("move_seat")
def move_seat(world: RoomWorld, actor: str) -> Command:
    world.seat(actor, 0)
    return MoveSeat(room=LOUNGE, index=1)


@scene("move_seat:request_mode")
def move_without_asking(world: RoomWorld, actor: str) -> Command:
    by_request(world)
    return move_seat(world, actor)


@scene("move_seat:another")
def move_another(world: RoomWorld, actor: str) -> Command:
    world.seat("target", 0)
    return MoveSeat(room=LOUNGE, index=1, identity="target")


@scene("move_seat:another_to_reserved")
def move_another_to_its_reserved_seat(world: RoomWorld, actor: str) -> Command:
    world.apply(SeatReserved(1, "target", SERVER))
    return move_another(world, actor)


@scene("swap_seats")
def swap_seats(world: RoomWorld, actor: str) -> Command:
    world.seat("target", 0)
    world.seat("other", 1)
    return SwapSeats(room=LOUNGE, first=0, second=1)


@scene("clear_seat")
def clear_seat(world: RoomWorld, actor: str) -> Command:
    world.seat("target", 0)
    return ClearSeat(room=LOUNGE, index=0)


@scene("lock_seat:occupied")
def lock_an_occupied_seat(world: RoomWorld, actor: str) -> Command:
    world.seat("target", 0)
    return LockSeat(room=LOUNGE, index=0)


@scene("unlock_seat")
def unlock_seat(world: RoomWorld, actor: str) -> Command:
    world.apply(SeatLockChanged(0, True, False, False, None, SERVER))
    return UnlockSeat(room=LOUNGE, index=0)


@scene("mute_seat")
def mute_seat(world: RoomWorld, actor: str) -> Command:
    world.seat("target", 0)
    return MuteSeat(room=LOUNGE, index=0)


@scene("unmute_seat")
def unmute_seat(world: RoomWorld, actor: str) -> Command:
    world.seat("target", 0)
    world.apply(SeatMuteChanged(0, "target", True, False, SERVER))
    return UnmuteSeat(room=LOUNGE, index=0)


@scene("mute_participant")
def mute_participant(world: RoomWorld, actor: str) -> Command:
    world.seat("target", 0)
    return MuteParticipant(room=LOUNGE, identity="target")


@scene("make_request:stage", type=UTDStreamType.LIVE_STREAM)
def ask_for_the_stage(world: RoomWorld, actor: str) -> Command:
    if actor in world.room.stage:
        world.apply(StageLeft(actor, "left", actor))
    return MakeRequest(room=LOUNGE, kind=RequestKind.STAGE)


@scene("make_request:open_microphone")
def ask_to_open_a_microphone(world: RoomWorld, actor: str) -> Command:
    world.seat("target", 0)
    return MakeRequest(room=LOUNGE, kind=RequestKind.OPEN_MICROPHONE, to="target")


@scene("accept_request")
def accept_request(world: RoomWorld, actor: str) -> Command:
    return AcceptRequest(room=LOUNGE, id=world.ask("target", RequestKind.SPEAK))


@scene("accept_request:to_me")
def accept_an_invitation(world: RoomWorld, actor: str) -> Command:
    return AcceptRequest(room=LOUNGE, id=world.ask(SERVER, RequestKind.SPEAK_INVITE, to=actor))


@scene("accept_request:to_another")
def accept_the_invitation_of_another(world: RoomWorld, actor: str) -> Command:
    return AcceptRequest(room=LOUNGE, id=world.ask(SERVER, RequestKind.SPEAK_INVITE, to="target"))


@scene("reject_request")
def reject_request(world: RoomWorld, actor: str) -> Command:
    return RejectRequest(room=LOUNGE, id=world.ask("target", RequestKind.SPEAK))


@scene("reject_request:to_another")
def reject_the_invitation_of_another(world: RoomWorld, actor: str) -> Command:
    return RejectRequest(room=LOUNGE, id=world.ask(SERVER, RequestKind.SPEAK_INVITE, to="target"))


@scene("cancel_request")
def cancel_the_own_request(world: RoomWorld, actor: str) -> Command:
    return CancelRequest(room=LOUNGE, id=world.ask(actor, RequestKind.SPEAK))


@scene("cancel_request:of_another")
def cancel_the_request_of_another(world: RoomWorld, actor: str) -> Command:
    return CancelRequest(room=LOUNGE, id=world.ask("target", RequestKind.SPEAK))


@scene("cancel_request:invitation")
def cancel_the_invitation_of_another(world: RoomWorld, actor: str) -> Command:
    return CancelRequest(room=LOUNGE, id=world.ask("other", RequestKind.SPEAK_INVITE, to="target"))


@scene("promote_to_stage", type=UTDStreamType.LIVE_STREAM)
def promote_to_stage(world: RoomWorld, actor: str) -> Command:
    return PromoteToStage(room=LOUNGE, identity="target")


@scene("demote_from_stage", type=UTDStreamType.LIVE_STREAM)
def demote_from_stage(world: RoomWorld, actor: str) -> Command:
    world.stage("target")
    return DemoteFromStage(room=LOUNGE, identity="target")


@scene("leave_stage", type=UTDStreamType.LIVE_STREAM)
def leave_stage(world: RoomWorld, actor: str) -> Command:
    world.stage(actor)
    return LeaveStage(room=LOUNGE)


@scene("set_role")
def set_role(world: RoomWorld, actor: str) -> Command:
    """The highest role that the actor may give, were it allowed to give any."""
    above_speaker = actor == SERVER or world.room.role(actor).rank > Role.SPEAKER.rank
    return SetRole(room=LOUNGE, identity="target", role=Role.SPEAKER if above_speaker else Role.AUDIENCE)


@scene("create_ban")
def create_ban(world: RoomWorld, actor: str) -> Command:
    return CreateBan(room=LOUNGE, identity="target")


def ban_of_somebody(world: RoomWorld) -> None:
    world.apply(BanMade(Ban("ban-0", "somebody", BanScope.ROOM, "", SERVER, START)))


@scene("list_bans")
def list_bans(world: RoomWorld, actor: str) -> Command:
    ban_of_somebody(world)
    return ListBans(room=LOUNGE)


@scene("delete_ban")
def delete_ban(world: RoomWorld, actor: str) -> Command:
    ban_of_somebody(world)
    return DeleteBan(room=LOUNGE, id="ban-0")
