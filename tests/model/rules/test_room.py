"""A room's phases, limits and ends, and who is let in."""

from __future__ import annotations

from utd_core.errors import Conflict, ErrorCode
from utd_core.model.codec import dump
from utd_core.model.commands import (
    AcceptRequest,
    EndRoom,
    GetRoom,
    GetSeats,
    GoLive,
    MakeRequest,
    PromoteToStage,
    RemoveParticipant,
    SetRole,
    StopLive,
    TakeSeat,
    Tick,
    UpdateMetadata,
)
from utd_core.model.grants import NOTHING, grants
from utd_core.model.identifiers import SERVER, SYSTEM
from utd_core.model.request import RequestKind, RequestState
from utd_core.model.roles import Role
from utd_core.model.room import (
    MAX_ROLES,
    Phase,
    RoomEnded,
    deadline,
)
from utd_core.model.stream_type import UTDStreamType

from ..rulebook import rule
from ..world import LOUNGE, START, RoomWorld, a_room, a_stream, kinds, the

BACKSTAGE = (
    "Phases: *backstage* (only those with `join_backstage` come in, and only they get a place), *live*, *ended*."
)
PHASES = "A room starts live unless its settings say backstage; it may go back and forth until it ends, and ends once."
LIMITS = "Limits: most participants, longest duration, how long it may be empty, how long it goes on without a host."
ENDS = "Each end says why: ended, duration_limit, empty, host_left."
PRESENCE = (
    "Who is connected is not part of the room (presence); what follows from it is: since when the room is empty, and "
    "since when no host is there."
)


@rule(BACKSTAGE)
def test_backstage_lets_in_who_belongs_there_and_nobody_else() -> None:
    world = a_room(backstage=True)
    with world.refused(ErrorCode.ROOM_NOT_LIVE, Conflict):
        world.join("guest")
    world.role("speaker", Role.SPEAKER)
    world.join("speaker")
    world.give("host", GoLive(room=LOUNGE))
    world.join("guest")
    assert set(world.present) == {"host", "speaker", "guest"}


@rule(BACKSTAGE)
def test_whoever_may_not_be_backstage_gets_no_place_there() -> None:
    world = a_room("guest", "seated")
    world.give("seated", TakeSeat(room=LOUNGE, index=0))
    asked = world.ask("guest", RequestKind.SPEAK)
    world.give("host", StopLive(room=LOUNGE))
    assert world.grant("seated") == NOTHING
    for by, command in (
        ("guest", TakeSeat(room=LOUNGE)),
        ("guest", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK)),
        ("host", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK_INVITE, to="guest")),
        ("host", AcceptRequest(room=LOUNGE, id=asked)),
    ):
        with world.refused(ErrorCode.ROOM_NOT_LIVE, Conflict):
            world.give(by, command)
    world.give("host", GoLive(room=LOUNGE))
    world.give("host", AcceptRequest(room=LOUNGE, id=asked))
    assert world.grant("seated").can_publish
    assert world.grant("guest").can_publish

    stream = a_stream("viewer")
    stream.give("host", StopLive(room=LOUNGE))
    with stream.refused(ErrorCode.ROOM_NOT_LIVE, Conflict):
        stream.give("host", PromoteToStage(room=LOUNGE, identity="viewer"))


@rule(PHASES)
def test_a_room_starts_live_or_backstage_and_goes_back_and_forth() -> None:
    assert a_room().room.phase is Phase.LIVE
    world = a_room(backstage=True)
    assert (world.room.phase, world.room.live_at) == (Phase.BACKSTAGE, None)
    for _ in range(2):
        world.now += 10
        world.give("host", GoLive(room=LOUNGE))
        assert (world.room.phase, world.room.live_at) == (Phase.LIVE, world.now)
        world.give("host", StopLive(room=LOUNGE))
        assert world.room.phase is Phase.BACKSTAGE


@rule(PHASES)
def test_a_room_ends_once_and_nothing_happens_in_it_afterwards() -> None:
    world = a_room("guest")
    world.ask("guest", RequestKind.SPEAK)
    world.give("host", EndRoom(room=LOUNGE))
    assert world.room.phase is Phase.ENDED
    assert grants(world.room) == {}
    assert world.grant("host") == NOTHING
    assert world.room.requests == {}
    assert world.room.ended_requests[1].state is RequestState.FAILED
    assert deadline(world.room) is None
    before = dump(world.room)
    with world.refused(ErrorCode.ROOM_ENDED):
        world.give("host", EndRoom(room=LOUNGE))
    with world.refused(ErrorCode.ROOM_ENDED):
        world.give("guest", TakeSeat(room=LOUNGE))
    with world.refused(ErrorCode.ROOM_ENDED):
        world.join("guest")
    assert world.lose("host") == world.returned("host") == world.wait(1e9) == []
    world.give("host", GetRoom(room=LOUNGE))
    world.give("host", GetSeats(room=LOUNGE))
    assert dump(world.room) == before


@rule("The name is then free for a new room.")
def test_an_ended_room_s_name_is_free() -> None:
    world = a_room("guest")
    world.seat("guest", 0)
    world.give("host", EndRoom(room=LOUNGE))
    world.join("guest", as_host=True)
    assert world.room.roles == {"guest": Role.OWNER}
    assert world.room.grid.occupants() == {}
    assert world.room.version < 5
    with world.refused(ErrorCode.ROOM_EXISTS):
        world.create()
    world.give("guest", EndRoom(room=LOUNGE))
    world.create(UTDStreamType.LIVE_STREAM)
    assert world.room.has_stage


@rule(
    "Roles are kept only for people who are more than audience, and for at most 1,000 of them, so the state stays "
    "small whoever listens."
)
def test_the_state_does_not_grow_with_the_audience_and_roles_are_bounded() -> None:
    world = a_room()
    before = dump(world.room)
    world.join(*(f"guest-{number}" for number in range(300)))
    assert dump(world.room) == before
    world.role("guest-1", Role.SPEAKER)
    world.role("guest-1", Role.AUDIENCE)
    assert world.room.roles == {"host": Role.OWNER}
    world.room.roles.update({f"speaker-{number}": Role.SPEAKER for number in range(MAX_ROLES - 1)})
    with world.refused(ErrorCode.TOO_MANY_ROLES):
        world.give("host", SetRole(room=LOUNGE, identity="guest-1", role=Role.SPEAKER))
    world.give("host", SetRole(room=LOUNGE, identity="speaker-1", role=Role.ADMIN))
    world.give("host", SetRole(room=LOUNGE, identity="speaker-1", role=Role.AUDIENCE))
    world.give("host", SetRole(room=LOUNGE, identity="guest-1", role=Role.SPEAKER))
    assert len(world.room.roles) == MAX_ROLES == 1_000


@rule(PRESENCE)
def test_a_room_knows_since_when_it_is_empty_and_without_a_host() -> None:
    world = RoomWorld()
    world.create(owner="host")
    assert (world.room.empty_since, world.room.hostless_since) == (START, START)
    world.join("guest")
    assert (world.room.empty_since, world.room.hostless_since) == (None, START)
    world.join("host")
    assert (world.room.empty_since, world.room.hostless_since) == (None, None)
    world.now = START + 5
    world.leave("host")
    assert (world.room.empty_since, world.room.hostless_since) == (None, START + 5)
    world.now = START + 9
    world.lose("guest")
    assert (world.room.empty_since, world.room.hostless_since) == (START + 9, START + 5)


@rule(PRESENCE)
def test_hosts_come_and_go_with_their_role_too() -> None:
    world = a_room("guest")
    world.role("guest", Role.HOST)

    def hostless_since() -> float | None:
        return world.room.hostless_since

    world.leave("host")
    assert hostless_since() is None
    world.now += 5
    world.role("guest", Role.AUDIENCE)
    assert hostless_since() == START + 5
    world.role("guest", Role.HOST)
    assert hostless_since() is None
    world.role("away", Role.HOST)
    world.give(SERVER, RemoveParticipant(room=LOUNGE, identity="guest"))
    assert hostless_since() == START + 5
    world.now += 1
    world.lose("guest")
    assert hostless_since() == START + 5


@rule(LIMITS)
def test_a_full_room_lets_in_only_who_is_in_it_already() -> None:
    world = a_room("guest", max_participants=2)
    with world.refused(ErrorCode.ROOM_FULL, Conflict):
        world.join("third")
    world.join("guest", device="tablet")
    world.leave("guest")
    world.join("third")


@rule(LIMITS, ENDS)
def test_a_room_ends_at_its_longest_duration() -> None:
    world = a_room("guest", max_duration=60)
    assert deadline(world.room) == START + 60
    assert world.wait(59) == []
    end = the(RoomEnded, world.wait(1))
    assert (end.reason, end.by, end.at) == ("duration_limit", SYSTEM, START + 60)
    assert (world.room.end_reason, world.room.ended_by, world.room.ended_at) == ("duration_limit", SYSTEM, START + 60)


@rule(LIMITS, ENDS)
def test_an_empty_room_ends_after_its_timeout_unless_somebody_comes() -> None:
    world = a_room("guest", empty_timeout=60)
    assert deadline(world.room) is None
    world.leave("host")
    world.leave("guest")
    assert deadline(world.room) == START + 60
    assert world.wait(59) == []
    world.join("guest")
    assert world.wait(1) == []
    assert deadline(world.room) is None
    world.leave("guest")
    assert the(RoomEnded, world.wait(60)).reason == "empty"


@rule(LIMITS)
def test_a_room_that_nobody_ever_joined_ends_too() -> None:
    world = RoomWorld()
    world.create(empty_timeout=60)
    assert the(RoomEnded, world.wait(60)).reason == "empty"


@rule(LIMITS, ENDS)
def test_without_a_host_a_room_goes_on_for_the_grace() -> None:
    world = a_room("guest", host_left_grace=30)
    world.lose("host")
    assert deadline(world.room) == START + 30
    assert world.wait(29) == []
    world.join("host")
    assert world.wait(1) == []
    assert deadline(world.room) is None
    world.leave("host")
    end = the(RoomEnded, world.wait(30))
    assert (end.reason, end.by) == ("host_left", SYSTEM)


@rule(LIMITS)
def test_another_host_keeps_the_room_going() -> None:
    world = a_room("second", host_left_grace=30)
    world.role("second", Role.HOST)
    world.lose("host")
    assert deadline(world.room) is None


@rule(LIMITS)
def test_without_limits_nothing_ends_a_room_but_a_command() -> None:
    world = a_room(empty_timeout=None)
    world.room.settings = type(world.room.settings)(empty_timeout=None)
    world.leave("host")
    assert deadline(world.room) is None
    assert world.wait(1e9) == []


@rule(ENDS)
def test_an_end_by_command_says_why_and_by_whom() -> None:
    world = a_room()
    end = the(RoomEnded, world.give("host", EndRoom(room=LOUNGE, reason="good night")))
    assert (end.reason, end.by) == ("good night", "host")
    world = a_room()
    assert the(RoomEnded, world.give(SERVER, EndRoom(room=LOUNGE))).by == SERVER


def test_metadata_is_replaced_at_the_revision_it_was_read_at() -> None:
    world = a_room()
    world.give("host", UpdateMetadata(room=LOUNGE, metadata={"topic": "birds"}, revision=0))
    assert (world.room.metadata, world.answer) == ({"topic": "birds"}, 1)
    with world.refused(ErrorCode.CONFLICT, Conflict):
        world.give("host", UpdateMetadata(room=LOUNGE, metadata={"topic": "bees"}, revision=0))
    world.give("host", UpdateMetadata(room=LOUNGE, metadata={"topic": "bees"}))
    assert (world.room.metadata, world.answer) == ({"topic": "bees"}, 2)


def test_time_does_nothing_before_it_is_due() -> None:
    world = a_room("guest", max_duration=100, request_timeout=10)
    world.ask("guest", RequestKind.SPEAK)
    assert deadline(world.room) == START + 10
    world.now = START + 9.999
    assert world.give("", Tick()) == []
    assert kinds(world.wait(0.001)) == ["request_ended"]
    assert deadline(world.room) == START + 100


def test_of_several_limits_that_fell_due_together_one_ends_the_room() -> None:
    world = a_room(max_duration=60, empty_timeout=60, host_left_grace=60)
    world.leave("host")
    assert [event.type for event in world.wait(1_000)] == ["room_ended"]
    assert world.room.end_reason == "duration_limit"
