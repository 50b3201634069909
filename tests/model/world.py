"""A room or a call, who is connected to it, and a clock: what the engine would be around the model, without an engine.

`give` decides and applies like the engine does. A refusal is checked where it happens: the state is what it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from utd_core.errors import ErrorCode, UTDStreamException
from utd_core.model import call as calls
from utd_core.model import project as projects
from utd_core.model import room as rooms
from utd_core.model.bans import Ban, BanMade, BanScope
from utd_core.model.call import Call, CallEnded
from utd_core.model.codec import dump
from utd_core.model.command import THE_SYSTEM, Actor, Command, Context
from utd_core.model.commands import (
    CreateRoom,
    Departed,
    Internal,
    JoinRoom,
    LeaveRoom,
    Returned,
    SetRole,
    StartCall,
    Tick,
)
from utd_core.model.event import Event
from utd_core.model.grants import grant_of
from utd_core.model.identifiers import SERVER
from utd_core.model.permission import Grant
from utd_core.model.project import Project
from utd_core.model.request import Request, RequestKind, RequestMade
from utd_core.model.roles import Role
from utd_core.model.room import DuplicateIdentity, ParticipantRemoved, Room, RoomCreated, RoomEnded
from utd_core.model.rules import answer_call, answer_project, answer_room, decide_call, decide_project, decide_room
from utd_core.model.seats import Seat, SeatTaken
from utd_core.model.stage import StageJoined
from utd_core.model.stream_type import UTDStreamType

LOUNGE = "lounge"
START = 1_000.0

E = TypeVar("E", bound=Event)


def the(kind: type[E], events: list[Event]) -> E:
    """The one event of this kind."""
    (event,) = (event for event in events if isinstance(event, kind))
    return event


def kinds(events: list[Event]) -> list[str]:
    return [event.type for event in events]


class RoomWorld:
    """One room name. `present` are the devices of who is in the room, as the engine's presence holds them."""

    def __init__(self) -> None:
        self.now = START
        self.state: Room | None = None
        self.present: dict[str, tuple[str, ...]] = {}
        self.project = Project()
        self.answer: Any = None
        self.bans_made = 0

    @property
    def room(self) -> Room:
        assert self.state is not None
        return self.state

    def context(self, actor: Actor, command: Command | Internal) -> Context:
        return Context(
            actor, self.now, self.present, project_bans=self.project.bans, new_id=f"ban-{self.bans_made + 1}"
        )

    def decide(self, by: str, command: Command | Internal, *, device: str = "phone") -> list[Event]:
        """What would happen. Nothing does."""
        actor = THE_SYSTEM if isinstance(command, Internal) else Actor(by, device)
        return decide_room(self.state, command, self.context(actor, command))

    def give(self, by: str, command: Command | Internal, *, device: str = "phone") -> list[Event]:
        """Decide, apply, and follow with presence, as the engine does."""
        if type(command) is JoinRoom:
            device = command.device_id
        actor = THE_SYSTEM if isinstance(command, Internal) else Actor(by, device)
        context = self.context(actor, command)
        events = decide_room(self.state, command, context)
        for event in events:
            self.apply(event)
        if type(command) is JoinRoom:
            self._enter(by, device)
        elif type(command) is LeaveRoom:
            self.present.pop(by, None)
        if isinstance(command, Command) and self.state is not None:
            self.answer = answer_room(self.state, command, events, context)
        return events

    def apply(self, event: Event) -> None:
        """Let a fact be, whoever could have brought it about."""
        self.state = rooms.apply(self.state, event)
        if isinstance(event, RoomCreated | RoomEnded):
            self.present = {}
        elif isinstance(event, ParticipantRemoved):
            self.present.pop(event.identity, None)
        elif isinstance(event, BanMade):
            self.bans_made += 1

    def _enter(self, identity: str, device: str) -> None:
        others: tuple[str, ...] = ()
        if self.room.settings.duplicate_identity is DuplicateIdentity.MANY:
            others = tuple(other for other in self.present.get(identity, ()) if other != device)
        self.present[identity] = (*others, device)

    def create(self, type: UTDStreamType = UTDStreamType.AUDIO_ROOM, owner: str | None = None, **options: Any) -> None:
        self.give(SERVER, CreateRoom(room=LOUNGE, type=type, owner=owner, **options))

    def join(self, *identities: str, device: str = "phone", **options: Any) -> list[Event]:
        """Let people in, in order; with options the first one is the host who brings them."""
        events: list[Event] = []
        for identity in identities:
            kind = UTDStreamType.AUDIO_ROOM if self.state is None else self.room.type
            fields: dict[str, Any] = {"room": LOUNGE, "type": kind, "device_id": device, **options}
            events += self.give(identity, JoinRoom(**fields))
        return events

    def leave(self, identity: str) -> list[Event]:
        return self.give(identity, LeaveRoom(room=LOUNGE))

    def lose(self, identity: str) -> list[Event]:
        """The connection is gone and does not come back."""
        self.present.pop(identity, None)
        return self.give("", Departed(identity))

    def returned(self, identity: str) -> list[Event]:
        return self.give("", Returned(identity))

    def role(self, identity: str, role: Role) -> None:
        self.give(SERVER, SetRole(room=LOUNGE, identity=identity, role=role))

    def seat(self, identity: str, index: int) -> None:
        """Put somebody on a seat, without asking the rules."""
        self.apply(SeatTaken(index, identity, SERVER))

    def stage(self, identity: str) -> None:
        """Put somebody on stage, without asking the rules."""
        if identity not in self.room.stage:
            self.apply(StageJoined(identity, self.room.role(identity), SERVER, self.now))

    def ask(self, sender: str, kind: RequestKind, to: str | None = None, seat_index: int | None = None) -> int:
        """A pending request, without asking the rules; its id."""
        id = self.room.next_request
        expires_at = self.now + self.room.settings.request_timeout
        self.apply(RequestMade(Request(id, kind, sender, to, self.now, expires_at, seat_index)))
        return id

    def wait(self, seconds: float) -> list[Event]:
        """Let time pass, and the engine notice it."""
        self.now += seconds
        return self.give("", Tick())

    def ban_everywhere(self, identity: str, expires_at: float | None = None) -> None:
        self.project.bans[identity] = Ban("everywhere", identity, BanScope.PROJECT, "", SERVER, self.now, expires_at)

    def seat_of(self, identity: str) -> int | None:
        seat = self.room.grid.seat_of(identity)
        return None if seat is None else seat.index

    def seat_at(self, index: int) -> Seat:
        return self.room.grid.seats[index]

    def grant(self, identity: str) -> Grant:
        return grant_of(self.room, identity)

    @contextmanager
    def refused(self, code: ErrorCode, kind: type[UTDStreamException] = UTDStreamException) -> Iterator[None]:
        """What is given inside is refused with this code, in words that say what to do; the room is what it was."""
        before = None if self.state is None else dump(self.state)
        present = dict(self.present)
        with pytest.raises(kind) as caught:
            yield
        assert caught.value.code == code, caught.value
        assert says_what_to_do(caught.value), caught.value
        assert (None if self.state is None else dump(self.state)) == before
        assert self.present == present


def a_room(*people: str, seats: int = 4, **options: Any) -> RoomWorld:
    """An audio room of `host`, with some listeners."""
    world = RoomWorld()
    world.join("host", as_host=True, seat_count=seats, **options)
    world.join(*people)
    return world


def a_stream(*people: str, **options: Any) -> RoomWorld:
    """A live stream of `host`, with some viewers."""
    world = RoomWorld()
    world.join("host", as_host=True, type=UTDStreamType.LIVE_STREAM, **options)
    world.join(*people)
    return world


class CallWorld:
    """Calls between people who have devices."""

    def __init__(self) -> None:
        self.now = START
        self.calls: dict[str, Call] = {}
        self.project = Project()
        self.answer: Any = None

    @property
    def call(self) -> Call:
        """The call that was begun last."""
        return self.calls[next(reversed(self.calls))]

    @property
    def engaged(self) -> set[str]:
        """Who is in a call that has not ended."""
        return {party for call in self.calls.values() if not call.status.is_terminal for party in parties(call)}

    def give(
        self, by: str, command: Command | Internal, *, device: str = "phone", id: str | None = None
    ) -> list[Event]:
        """Decide on a call (the one that was begun last, unless one is named) and apply."""
        actor = THE_SYSTEM if isinstance(command, Internal) else Actor(by, device, by.capitalize())
        starts = type(command) is StartCall
        id = f"call-{len(self.calls) + 1}" if starts else id or next(reversed(self.calls), "none")
        context = Context(actor, self.now, engaged=self.engaged, project_bans=self.project.bans, new_id=id)
        state = None if starts else self.calls.get(id)
        events = decide_call(state, command, context)
        for event in events:
            state = calls.apply(state, event)
        if state is not None:
            self.calls[id] = state
            if isinstance(command, Command):
                self.answer = answer_call(state, command, events, context)
        return events

    def start(self, caller: str = "ann", callee: str = "bob", **options: Any) -> Call:
        fields: dict[str, Any] = {"type": UTDStreamType.AUDIO_CALL, "callee": callee, **options}
        self.give(caller, StartCall(**fields))
        return self.call

    def wait(self, seconds: float) -> list[Event]:
        """Let time pass, and the engine notice it."""
        self.now += seconds
        return self.give("", Tick())

    def ban_everywhere(self, identity: str) -> None:
        self.project.bans[identity] = Ban("everywhere", identity, BanScope.PROJECT, "", SERVER, self.now)

    @contextmanager
    def refused(self, code: ErrorCode, kind: type[UTDStreamException] = UTDStreamException) -> Iterator[None]:
        """What is given inside is refused with this code, in words that say what to do; every call is what it was."""
        before = {id: dump(call) for id, call in self.calls.items()}
        with pytest.raises(kind) as caught:
            yield
        assert caught.value.code == code, caught.value
        assert says_what_to_do(caught.value), caught.value
        assert {id: dump(call) for id, call in self.calls.items()} == before


class ProjectWorld:
    """The bans of a project."""

    def __init__(self) -> None:
        self.now = START
        self.project = Project()
        self.answer: Any = None

    def give(self, by: str, command: Command | Internal) -> list[Event]:
        actor = THE_SYSTEM if isinstance(command, Internal) else Actor(by)
        context = Context(actor, self.now, new_id=f"ban-{self.project.version + 1}")
        events = decide_project(self.project, command, context)
        for event in events:
            self.project = projects.apply(self.project, event)
        if isinstance(command, Command):
            self.answer = answer_project(self.project, command, events, context)
        return events


def parties(call: Call) -> tuple[str, str]:
    return call.caller, call.callee


def ended(events: list[Event]) -> tuple[str, str, str]:
    """(status, reason, by) of the end of a call."""
    event = the(CallEnded, events)
    return event.status.value, event.reason, event.by


def with_settings(world: RoomWorld, **changes: Any) -> RoomWorld:
    """The world with other settings."""
    world.room.settings = replace(world.room.settings, **changes)
    return world


_STEPS = re.compile(
    r"\b(accept|answer|ask|call|cancel|change|come|count|create|do|end|flatten|give|go|invite|join|keep|leave|lift|list|"
    r"lock|look|make|move|must|mute|name|needs|read|reject|search|send|split|start|stop|store|take|they|try|unlock|unmute|wait)\b"
)


def says_what_to_do(error: UTDStreamException) -> bool:
    """Whether the message goes on, after what is wrong, with a step that somebody can take."""
    _, found, step = error.message.partition("; ")
    return bool(found) and _STEPS.search(step.replace("_", " ")) is not None
