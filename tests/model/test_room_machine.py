"""Everything that can be asked of a room, by anybody, in any order, while time passes and people come and go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from utd_core.model import room as rooms
from utd_core.model.codec import adapter, dump, load, load_event
from utd_core.model.command import Command
from utd_core.model.commands import (
    COMMANDS,
    CreateRoom,
    Departed,
    GetRoom,
    JoinRoom,
    LeaveRoom,
    ListParticipants,
    ParticipantBanned,
    Returned,
    RoomCommand,
    SetRole,
    Tick,
)
from utd_core.model.commands.bans import BanCommand
from utd_core.model.grants import NOTHING, grant_of, grants
from utd_core.model.identifiers import SERVER
from utd_core.model.request import Request
from utd_core.model.roles import Capability, Role
from utd_core.model.room import KEPT_ENDED_REQUESTS, Phase, RoleChanged, Room, RoomCreated, deadline
from utd_core.model.rules.settling import PLACE_KINDS
from utd_core.model.seats import MAX_SEATS, MIN_SEATS
from utd_core.model.stream_type import UTDStreamType

from .commands_at_random import (
    ANSWERING,
    ASKING,
    DEVICES,
    EVERYTHING,
    LIFE,
    MODERATION,
    PEOPLE,
    SEAT,
    SEAT_MANAGING,
    STAGE,
    aimed,
    options,
    people,
    seconds,
    stage_options,
)
from .fuzz import Explorer, explore
from .observed import NOBODY, ObservedRoom
from .world import LOUNGE, says_what_to_do

THE_ENGINE_ANSWERS = (JoinRoom, CreateRoom, GetRoom, ListParticipants)

anybody = st.sampled_from([*PEOPLE, SERVER])
devices = st.sampled_from(DEVICES)
staffs = st.lists(
    st.sampled_from([Role.HOST, Role.ADMIN, Role.ADMIN, Role.SPEAKER, Role.AUDIENCE]), min_size=5, max_size=5
)


class RoomMachine(Explorer):
    """One room name; the people of `PEOPLE`, the application's server, and a clock."""

    name = "room"

    def __init__(self) -> None:
        super().__init__()
        self.world = ObservedRoom()

    @property
    def room(self) -> Room:
        return self.world.room

    def there_is_a_room(self) -> bool:
        return self.world.state is not None

    def goes_on(self) -> bool:
        return self.world.state is not None and self.world.state.phase is not Phase.ENDED

    def attempt(self, by: str, command: Command, device: str = "phone") -> None:
        world = self.world
        if type(command) is LeaveRoom and device in (held := world.present.get(by, ())) and len(held) > 1:
            # Somebody who is in the room on other devices too only leaves with this one: the engine asks no rule.
            world.present[by] = tuple(other for other in held if other != device)
            return
        if world.attempt(by, command, device).refusal is not None:
            self.refused()

    @initialize(stream=st.sampled_from([False, False, True]), fields=st.fixed_dictionaries(options), staff=staffs)
    def begin(self, stream: bool, fields: dict[str, Any], staff: list[Role]) -> None:
        """A room that has people with several roles in it."""
        type = UTDStreamType.LIVE_STREAM if stream else UTDStreamType.AUDIO_ROOM
        fields = {name: value for name, value in fields.items() if not stream or name in stage_options}
        self.attempt("ann", JoinRoom(room=LOUNGE, type=type, as_host=True, **fields))
        for identity, role in zip(PEOPLE[1:], staff, strict=True):
            self.attempt(SERVER, SetRole(room=LOUNGE, identity=identity, role=role))
            self.attempt(identity, JoinRoom(room=LOUNGE, type=type))

    @rule(by=anybody, command=st.one_of(EVERYTHING), device=devices)
    def anybody_gives_any_command(self, by: str, command: Command, device: str) -> None:
        self.attempt(by, command, device)

    @precondition(lambda self: self.goes_on())
    @rule(data=st.data())
    def somebody_takes_leaves_or_manages_a_place(self, data: st.DataObject) -> None:
        self.somebody(data, st.one_of(SEAT, SEAT_MANAGING) if self.room.has_seats else STAGE)

    @precondition(lambda self: self.goes_on())
    @rule(data=st.data(), answer=st.booleans())
    def somebody_asks_or_answers(self, data: st.DataObject, answer: bool) -> None:
        self.somebody(data, ANSWERING if answer and self.room.requests else ASKING)

    @precondition(lambda self: self.goes_on())
    @rule(data=st.data(), command=st.one_of(MODERATION, LIFE))
    def somebody_moderates(self, data: st.DataObject, command: Command) -> None:
        self.attempt(*aimed(self.world, data, command))

    def somebody(self, data: st.DataObject, commands: st.SearchStrategy[Command]) -> None:
        self.attempt(*aimed(self.world, data, data.draw(commands)))

    @precondition(lambda self: self.there_is_a_room())
    @rule(who=people, device=devices, comes=st.sampled_from([True, True, False]))
    def somebody_comes_or_is_lost(self, who: str, device: str, comes: bool) -> None:
        if comes:
            as_host = not self.goes_on()
            self.attempt(who, JoinRoom(room=LOUNGE, type=self.room.type, device_id=device, as_host=as_host))
        else:
            self.lose(who)

    def lose(self, identity: str) -> None:
        """Told only where it can matter, as the engine does; so it must not matter elsewhere."""
        world = self.world
        world.present.pop(identity, None)
        if self.room.concerns(identity) or not world.present:
            world.attempt("", Departed(identity))
        else:
            assert world.decide("", Departed(identity)) == []

    @rule(who=people, is_there=st.booleans())
    def news_come_late_or_twice(self, who: str, is_there: bool) -> None:
        world = self.world
        if is_there and who in world.present:
            world.attempt("", Returned(who))
        elif who not in world.present:
            world.attempt("", Departed(who))

    @rule(who=people, lasts=st.none() | seconds, forgiven=st.booleans())
    def somebody_is_banned_everywhere_or_forgiven(self, who: str, lasts: float | None, forgiven: bool) -> None:
        world = self.world
        if forgiven:
            world.project.bans.clear()
            return
        world.ban_everywhere(who, None if lasts is None else world.now + lasts)
        if who in world.present:
            world.attempt("", ParticipantBanned(who))

    @rule(passed=seconds, engine_is_up=st.booleans())
    def time_passes(self, passed: float, engine_is_up: bool) -> None:
        """The engine brings the time whenever something is due; or only afterwards, where it was down."""
        world = self.world
        until = world.now + passed
        if not engine_is_up:
            world.now = until
        while world.state is not None and (due := deadline(world.state)) is not None and due <= until:
            world.now = max(world.now, due)
            step = world.attempt("", Tick())
            assert step.events, "a deadline has come and nothing happened"
            following = deadline(self.room)
            assert following is None or following > world.now, "the same deadline would come again and again"
        world.now = until

    @invariant()
    def time_does_nothing_before_something_is_due(self) -> None:
        if self.there_is_a_room():
            due = deadline(self.room)
            if due is None or due > self.world.now:
                assert self.world.decide("", Tick()) == []

    @invariant()
    def a_decision_changes_nothing_and_is_the_same_twice(self) -> None:
        if (step := self.world.step) is not None:
            assert step.decided == step.before
            assert step.events == step.decided_again

    @invariant()
    def a_refusal_changes_nothing_and_says_what_to_do(self) -> None:
        if (step := self.world.step) is not None and step.refusal is not None:
            assert step.after == step.before
            assert says_what_to_do(step.refusal), step.refusal

    @invariant()
    def nobody_acts_on_the_own_rank_or_a_higher_one(self) -> None:
        if (step := self.world.step) is not None and not step.is_trusted:
            mine = step.roles.get(step.by, Role.AUDIENCE)
            for other in step.acted_on():
                assert mine.rank > step.roles.get(other, Role.AUDIENCE).rank, step

    @invariant()
    def nobody_gives_the_own_rank_or_a_higher_one_but_the_owner(self) -> None:
        if (step := self.world.step) is not None and not step.is_trusted:
            mine = step.roles.get(step.by, Role.AUDIENCE)
            for event in step.events:
                if isinstance(event, RoleChanged) and mine is not Role.OWNER:
                    assert mine.rank > event.role.rank

    @invariant()
    def grants_change_only_for_those_whom_the_event_affects(self) -> None:
        if (step := self.world.step) is not None:
            assert not step.surprised

    @invariant()
    def ended_is_final(self) -> None:
        if (step := self.world.step) is not None and step.phase is Phase.ENDED and step.events:
            assert isinstance(step.events[0], RoomCreated)

    @invariant()
    def a_command_answers_what_it_declares(self) -> None:
        step = self.world.step
        if step is None or step.refusal is not None or not isinstance(step.command, Command):
            return
        if not isinstance(step.command, THE_ENGINE_ANSWERS):
            adapter(step.command.spec.result).validate_python(self.world.answer)

    @invariant()
    def whoever_has_only_the_channel_has_the_same_state_but_for_the_bans(self) -> None:
        if self.there_is_a_room():
            assert self.world.mirror == replace(self.room, bans={})

    @invariant()
    def a_publisher_holds_a_seat_or_a_stage_place(self) -> None:
        if self.there_is_a_room():
            for identity in (*PEOPLE, NOBODY):
                if grant_of(self.room, identity).can_publish:
                    assert self.room.grid.seat_of(identity) is not None or identity in self.room.stage
                    assert self.room.phase is not Phase.ENDED

    @invariant()
    def the_grants_of_all_are_the_grants_of_each(self) -> None:
        if self.there_is_a_room():
            audience, special = grant_of(self.room, NOBODY), grants(self.room)
            for identity in PEOPLE:
                assert special.get(identity, audience) == grant_of(self.room, identity)

    @invariant()
    def backstage_grants_nothing_to_who_does_not_belong_there(self) -> None:
        if self.there_is_a_room() and self.room.phase is Phase.BACKSTAGE:
            for identity in PEOPLE:
                if not self.room.may(self.room.role(identity), Capability.JOIN_BACKSTAGE):
                    assert grant_of(self.room, identity) == NOTHING

    @invariant()
    def an_identity_holds_at_most_one_seat(self) -> None:
        if self.there_is_a_room():
            held = [seat.identity for seat in self.room.grid.seats if seat.identity is not None]
            assert len(held) == len(set(held))

    @invariant()
    def a_locked_seat_is_empty_and_an_empty_one_is_not_muted(self) -> None:
        if self.there_is_a_room():
            for seat in self.room.grid.seats:
                assert not (seat.locked and seat.identity is not None)
                assert seat.identity is not None or not (seat.muted_audio or seat.muted_video)

    @invariant()
    def there_are_as_many_seats_as_were_set_up_numbered_from_zero(self) -> None:
        if self.there_is_a_room():
            numbers = [seat.index for seat in self.room.grid.seats]
            assert numbers == list(range(len(numbers)))
            assert MIN_SEATS <= len(numbers) <= MAX_SEATS if self.room.has_seats else not numbers

    @invariant()
    def whoever_holds_a_place_is_in_the_room(self) -> None:
        if self.there_is_a_room() and self.room.phase is not Phase.ENDED:
            assert {*self.room.grid.occupants(), *self.room.stage} <= set(self.world.present)

    @invariant()
    def a_request_ends_exactly_once(self) -> None:
        ends = self.world.ends
        assert len(ends) == len(set(ends))
        if self.there_is_a_room():
            assert set(self.room.requests) == self.world.made - set(ends)
            assert set(self.room.ended_requests) == set(ends[-KEPT_ENDED_REQUESTS:])

    @invariant()
    def whoever_asks_or_is_asked_is_in_the_room(self) -> None:
        for request in self.pending():
            assert {request.sender, request.to} - {None, SERVER} <= set(self.world.present)

    @invariant()
    def nothing_is_asked_that_is_given_already(self) -> None:
        for request in self.pending():
            if request.kind in PLACE_KINDS:
                assert self.room.grid.seat_of(request.subject) is None
                assert request.subject not in self.room.stage

    @invariant()
    def no_request_names_a_seat_that_is_not_there(self) -> None:
        for request in self.pending():
            assert request.seat_index is None or request.seat_index < len(self.room.grid.seats)

    @invariant()
    def a_banned_identity_is_not_in_the_room(self) -> None:
        if self.there_is_a_room():
            for bans in (self.room.bans, self.world.project.bans):
                held = {identity for identity, ban in bans.items() if ban.holds(self.world.now)}
                assert not held & set(self.world.present)

    @invariant()
    def since_when_it_is_empty_or_without_a_host_agrees_with_who_is_there(self) -> None:
        if self.there_is_a_room() and self.room.phase is not Phase.ENDED:
            present = self.world.present
            assert (self.room.empty_since is None) == bool(present)
            assert (self.room.hostless_since is None) == any(self.room.role(identity).is_host for identity in present)

    @invariant()
    def a_room_has_at_most_one_owner(self) -> None:
        if self.there_is_a_room():
            assert list(self.room.roles.values()).count(Role.OWNER) <= 1

    @invariant()
    def the_state_is_small(self) -> None:
        if self.there_is_a_room():
            assert len(self.room.requests) <= self.room.settings.max_pending_requests
            assert len(self.room.ended_requests) <= KEPT_ENDED_REQUESTS
            assert Role.AUDIENCE not in self.room.roles.values()
            assert all(self.room.overrides.values())

    def pending(self) -> list[Request]:
        return list(self.world.state.requests.values()) if self.world.state is not None else []

    def teardown(self) -> None:
        """Replaying the channel from the start gives the same state, and so does the JSON of the state."""
        if not self.there_is_a_room():
            return
        replayed: Room | None = None
        for type_name, data in self.world.log:
            replayed = rooms.apply(replayed, load_event(type_name, data))
        assert replayed == replace(self.room, bans={})
        assert load(Room, dump(self.room)) == self.room


def test_room_machine() -> None:
    explore(RoomMachine, runs=150, share=0.6)


def test_the_room_machine_knows_every_command_that_is_decided_on_a_room() -> None:
    drawn = {type(example) for family in EVERYTHING for example in examples(family)}
    decided = {kind for kind in COMMANDS.values() if issubclass(kind, RoomCommand | BanCommand)}
    assert drawn == decided


def examples(family: st.SearchStrategy[Command]) -> list[Command]:
    found: list[Command] = []

    @settings(max_examples=100, database=None, derandomize=True)
    @given(family)
    def collect(command: Command) -> None:
        found.append(command)

    collect()
    return found
