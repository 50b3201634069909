"""One command, decided and applied: by the model, and by what the model cannot see (presence, lines, places).

Nothing here waits. What is changed besides the state can be taken back until the batch is committed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ...concurrency.alarm import TICK
from ...model.call import Call, CallEnded, CallStarted, media_room
from ...model.command import Command, Context
from ...model.commands import (
    CreateBan,
    CreateRoom,
    Departed,
    GetRoom,
    Internal,
    JoinRoom,
    LeaveRoom,
    ListParticipants,
    RemoveParticipant,
    StartCall,
    Tick,
)
from ...model.event import Event
from ...model.project import Project
from ...model.room import ParticipantRemoved, Room, RoomCreated, RoomEnded
from ...model.rules import answer_project, answer_room
from ...store.base import Head
from ..core import Core
from ..kinds import CALL, ROOM
from ..media.presence import UNKNOWN_DEVICE, Presence
from ..media.reconciler import is_many
from ..views import call_at, participants, snapshot
from .aggregates import Aggregate, Batch, Job
from .idempotency import Placed
from .lines import Lines

_NEED_AN_ID = frozenset({CreateBan, RemoveParticipant})
_NOBODY: Mapping[str, tuple[str, ...]] = {}


def new_id() -> str:
    return secrets.token_hex(10)


class Broken(Exception):
    """The model applied what it had decided only in part: the state in memory is worthless."""


class Decider:
    """Decides on the aggregates in memory."""

    def __init__(self, core: Core, lines: Lines) -> None:
        self._core = core
        self._lines = lines

    def is_ready(self, aggregate: Aggregate, job: Job) -> bool:
        """Whether everything that the command needs is in memory; if not, the aggregate must be loaded anew."""
        command = job.command
        if type(command) is not StartCall:
            return True
        parties = (job.actor.identity, command.callee)
        if not self._lines.holds(parties):
            self._lines.let_go(parties)
            return False
        return True

    def decide(self, batch: Batch, job: Job) -> Any:
        """The answer. Raises what the rules raise, having changed nothing, or `Broken`."""
        aggregate, command = batch.aggregate, job.command
        kind = aggregate.kind
        presence = self._core.presences.get(aggregate.key) if kind is ROOM else None
        if kind is ROOM and presence is not None:
            if type(command) is Departed and command.identity in presence:
                return None
            if type(command) is LeaveRoom and self._leave_one_device(batch, presence, job):
                return None
            if type(command) is JoinRoom:
                _learn_device(presence, job.actor.identity, command.device_id)
        context = self._context(aggregate, job, _time(batch, command), presence)
        try:
            events = kind.decide(aggregate.state, command, context)
            try:
                return self._apply(batch, job, events, context)
            except Exception as error:
                raise Broken(f"{command!r} on {aggregate}") from error
        finally:
            if type(command) is StartCall:
                self._lines.let_go((job.actor.identity, command.callee))

    def _context(self, aggregate: Aggregate, job: Job, now: float, presence: Presence | None) -> Context:
        command, actor = job.command, job.actor
        kind = type(command)
        id = aggregate.key if kind is StartCall else new_id() if kind in _NEED_AN_ID else ""
        return Context(
            actor,
            now,
            _NOBODY if presence is None else presence,
            self._lines.engaged,
            self._core.bans,
            id,
        )

    def _apply(self, batch: Batch, job: Job, events: list[Event], context: Context) -> Any:
        aggregate, command = batch.aggregate, job.command
        kind = aggregate.kind
        state = aggregate.state
        for event in events:
            state = kind.apply(state, event)
            batch.events.append((event, tuple(kind.channels(state, event))))
        aggregate.state = state
        if kind is ROOM:
            return self._room(batch, job, events, context)
        if kind is CALL:
            return self._call(batch, command, events)
        if isinstance(command, Internal):
            return None
        return answer_project(state or Project(), command, events, context)

    def _room(self, batch: Batch, job: Job, events: list[Event], context: Context) -> Any:
        room: Room = batch.aggregate.state
        command, actor = job.command, job.actor
        for event in events:
            if isinstance(event, RoomCreated):
                self._set_presence(batch, room.name, Presence(many=is_many(room)))
            elif isinstance(event, RoomEnded):
                self._set_presence(batch, room.name, None)
            elif isinstance(event, ParticipantRemoved):
                self._remove(batch, room.name, event.identity, at_once=True)
        if isinstance(command, Internal):
            return None
        head = Head(batch.aggregate.head.epoch, batch.head_offset)
        presence = self._core.presences.get(room.name)
        if type(command) is JoinRoom:
            fresh = self._enter(batch, room, actor.identity, command)
            return Placed(room.name, actor.identity, command.device_id, fresh)
        if type(command) is LeaveRoom:
            self._remove(batch, room.name, actor.identity, at_once=False)
            return None
        if type(command) is CreateRoom or type(command) is GetRoom:
            return snapshot(room, presence, head)
        if type(command) is ListParticipants:
            return participants(room, presence, command)
        return answer_room(room, command, events, context)

    def _set_presence(self, batch: Batch, room: str, presence: Presence | None) -> None:
        presences = self._core.presences
        before = presences.pop(room, None)
        if presence is not None:
            presences[room] = presence

        def undo() -> None:
            presences.pop(room, None)
            if before is not None:
                presences[room] = before

        batch.undo.append(undo)

    def _enter(self, batch: Batch, room: Room, identity: str, command: JoinRoom) -> bool:
        """Give a place; whether the identity had none before."""
        presence = self._core.presences.setdefault(room.name, Presence(many=is_many(room)))
        self._save(batch, presence, identity)
        now, fresh = batch.at, identity not in presence
        presence.enter(identity, command.device_id, command.name, now, now + self._core.settings.ticket_ttl)
        presence.removed.discard(identity)
        return fresh

    def _remove(self, batch: Batch, room: str, identity: str, *, at_once: bool) -> None:
        presence = self._core.presences.get(room)
        if presence is None:
            return
        batch.gone.append((identity, at_once))
        batch.left += [(room, media_identity, at_once) for media_identity in presence.media_identities(identity)]
        self._save(batch, presence, identity)
        presence.remove(identity)
        if presence.was_before:
            presence.removed.add(identity)

    def _leave_one_device(self, batch: Batch, presence: Presence, job: Job) -> bool:
        """Somebody who is in the room on other devices too only leaves with this one."""
        identity, device = job.actor.identity, job.actor.device
        place = presence.place(identity, device)
        if place is None or len(presence[identity]) == 1:
            return False
        self._save(batch, presence, identity)
        presence.drop(identity, place)
        batch.left.append((batch.aggregate.key, presence.media_identity(identity, device), False))
        return True

    def _save(self, batch: Batch, presence: Presence, identity: str) -> None:
        member = presence.member(identity)
        places = () if member is None else member.places
        batch.undo.append(lambda: presence.restore(identity, member, places))

    def _call(self, batch: Batch, command: Command | Internal, events: list[Event]) -> Any:
        call: Call = batch.aggregate.state
        for event in events:
            if isinstance(event, CallStarted):
                self._lines.engage(call.caller, call.id)
                self._lines.engage(call.callee, call.id)
                self._set_presence(batch, media_room(call.id), Presence())
            elif isinstance(event, CallEnded):
                self._lines.release(call.caller, call.id)
                self._lines.release(call.callee, call.id)
                self._set_presence(batch, media_room(call.id), None)
        if isinstance(command, Internal):
            return None
        return call_at(call, Head(batch.aggregate.head.epoch, batch.head_offset))


def _time(batch: Batch, command: Command | Internal) -> float:
    """The time of the decision; a deadline that was waited for has come, whatever the sum of two times says."""
    state = batch.aggregate.state
    if type(command) is not Tick or state is None:
        return batch.at
    deadline = batch.aggregate.kind.deadline(state)
    return deadline if deadline is not None and 0 < deadline - batch.at <= TICK else batch.at


def _learn_device(presence: Presence, identity: str, device: str) -> None:
    """Somebody taken over after a restart has a device that nobody knows; the first one to join is it."""
    place = presence.place(identity, UNKNOWN_DEVICE)
    if place is not None:
        place.device = device
