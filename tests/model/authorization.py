"""Who may give which command, written down by hand: what `test_authorization.py` holds the model to.

    +  allowed                  x  409 not_joined                   !  404, as if it did not exist
    -  403                      o  409 room_not_live                .  no such case

`stranger` has no role and is not in the room, `server` is the application's own. `needs` are the capabilities that
decide; `person` says that somebody of the audience is acted on, above whom the actor must stand whatever it may do. A
name behind a colon is one way of giving the command.
"""

from __future__ import annotations

from dataclasses import dataclass

from utd_core.errors import ErrorCode, UTDStreamException
from utd_core.model.command import Actor, Aggregate, Command, Context
from utd_core.model.project import Project
from utd_core.model.roles import Capability
from utd_core.model.rules import decide_project

from .world import LOUNGE, RoomWorld, says_what_to_do

ROLES = ("owner", "host", "admin", "speaker", "audience", "stranger", "server")

IN_ROOMS = """
command                        owner host admin speaker audience stranger server  needs               on
create_session                   +    +     +      +       +        +       +
create_room                      +    +     +      +       +        +       +
create_room:for_another          -    -     -      -       -        -       +
join_room                        +    +     +      +       +        +       -
join_room:as_host                +    +     -      -       -        -       -
join_room:with_seats             +    +     -      -       -        -       -
join_room:backstage              +    +     +      +       o        o       -     join_backstage
leave_room                       +    +     +      +       +        x       -
get_room                         +    +     +      +       +        +       +
list_rooms                       +    +     +      +       +        +       +
list_participants                +    +     +      +       +        +       +
end_room                         +    +     -      -       -        -       +     end_room
go_live                          +    +     -      -       -        -       +     go_live
stop_live                        +    +     -      -       -        -       +     go_live
update_metadata                  +    +     -      -       -        -       +     update_room
get_seats                        +    +     +      +       +        +       +
setup_seats                      +    +     +      -       -        -       +     manage_seats
take_seat                        +    +     +      +       +        x       -     take_seat
take_seat:request_mode           +    +     +      +       -        x       -     take_seat_directly
take_seat:reserved               +    +     +      +       +        x       -
leave_seat                       +    +     +      +       +        x       -
move_seat                        +    +     +      +       +        x       -     take_seat
move_seat:request_mode           +    +     +      +       -        x       -     take_seat_directly
move_seat:another                +    +     +      -       -        x       +     manage_seats        person
move_seat:another_to_reserved    +    +     +      -       -        x       +     manage_seats        person
swap_seats                       +    +     +      -       -        -       +     manage_seats        person
clear_seat                       +    +     +      -       -        -       +     manage_seats        person
lock_seat                        +    +     +      -       -        -       +     manage_seats
lock_seat:occupied               +    +     +      -       -        -       +     manage_seats        person
unlock_seat                      +    +     +      -       -        -       +     manage_seats
mute_seat                        +    +     +      -       -        -       +     mute                person
unmute_seat                      +    +     +      -       -        -       +     mute                person
reserve_seat                     +    +     +      -       -        -       +     manage_seats
make_request                     +    +     +      +       +        x       -     ask
make_request:stage               +    +     +      +       +        x       -     ask
make_request:invitation          +    +     +      -       -        x       +     manage_requests
make_request:open_microphone     +    +     +      -       -        x       +     manage_requests     person
list_requests                    +    +     +      +       +        +       +
accept_request                   +    +     +      -       -        x       +     manage_requests
accept_request:to_me             +    +     +      +       +        x       .
accept_request:to_another        -    -     -      -       -        x       +
reject_request                   +    +     +      -       -        x       +     manage_requests
reject_request:to_another        -    -     -      -       -        x       +
cancel_request                   +    +     +      +       +        x       .
cancel_request:of_another        -    -     -      -       -        x       -
cancel_request:invitation        +    +     +      -       -        x       +     manage_requests
get_stage                        +    +     +      +       +        +       +
promote_to_stage                 +    +     +      -       -        -       +     manage_stage        person
demote_from_stage                +    +     +      -       -        -       +     manage_stage        person
leave_stage                      +    +     +      +       +        x       -
set_role                         +    +     -      -       -        -       +     manage_roles        person
override_capability              +    +     -      -       -        -       +     manage_roles        person
mute_participant                 +    +     +      -       -        -       +     mute                person
remove_participant               +    +     +      -       -        -       +     remove              person
remove_participant:block         +    +     +      -       -        -       +     remove,ban          person
create_ban                       +    +     +      -       -        -       +     ban                 person
create_ban:project               -    -     -      -       -        -       +
list_bans                        +    +     +      -       -        -       +     ban
list_bans:project                -    -     -      -       -        -       +
delete_ban                       +    +     +      -       -        -       +     ban
delete_ban:project               -    -     -      -       -        -       +
"""

IN_CALLS = """
command       caller callee other server
start_call      +      +      +     -
get_call        +      +      !     +
list_calls      +      +      +     +
ring_call       -      +      !     +
accept_call     -      +      !     +
reject_call     -      +      !     +
busy_call       -      +      !     +
cancel_call     +      -      !     +
end_call        +      +      !     +
"""


@dataclass(frozen=True)
class Row:
    """One way of giving one command."""

    name: str
    allowed: dict[str, str]
    needs: frozenset[Capability] = frozenset()
    on_a_person: bool = False

    @property
    def command(self) -> str:
        return self.name.partition(":")[0]

    @property
    def lacking(self) -> str:
        """How it is refused to somebody who lacks a capability."""
        return "o" if "o" in self.allowed.values() else "-"


def room_rows() -> list[Row]:
    rows = []
    for line in IN_ROOMS.strip().splitlines()[1:]:
        name, *marks = line.split()
        allowed = dict(zip(ROLES, marks[: len(ROLES)], strict=True))
        needs, on = [*marks[len(ROLES) :], "", ""][:2]
        rows.append(Row(name, allowed, frozenset(map(Capability, filter(None, needs.split(",")))), on == "person"))
    return rows


def call_rows() -> list[Row]:
    heading, *lines = IN_CALLS.strip().splitlines()
    roles = heading.split()[1:]
    return [Row(name, dict(zip(roles, marks, strict=True))) for name, *marks in map(str.split, lines)]


STATUS = {"-": 403, "x": 409, "o": 409, "!": 404}
CODE = {"x": ErrorCode.NOT_JOINED, "o": ErrorCode.ROOM_NOT_LIVE, "!": ErrorCode.CALL_NOT_FOUND}


def attempt(world: RoomWorld, actor: str, command: Command) -> UTDStreamException | None:
    """The refusal of the command, None where it is allowed."""
    try:
        if command.spec.aggregate is Aggregate.PROJECT or getattr(command, "room", LOUNGE) is None:
            decide_project(Project(), command, Context(Actor(actor), world.now, new_id="ban-1"))
        else:
            world.decide(actor, command)
    except UTDStreamException as refusal:
        return refusal
    return None


def check(refusal: UTDStreamException | None, mark: str) -> None:
    """The matrix says `+`, or which refusal it is."""
    # A rule that looks further has something else to say, but not about who asks.
    if refusal is not None and refusal.code == ErrorCode.BAN_NOT_FOUND:
        refusal = None
    if mark == "+":
        assert refusal is None, refusal
        return
    assert refusal is not None, "allowed"
    assert refusal.status_code == STATUS[mark], refusal
    assert refusal.code == CODE.get(mark, refusal.code), refusal
    assert says_what_to_do(refusal), refusal
