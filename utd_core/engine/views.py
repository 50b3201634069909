"""Answers that need more than the state: places in channels, presence, several rooms or calls at once."""

from __future__ import annotations

from dataclasses import replace

from ..model.call import Call
from ..model.codec import load
from ..model.command import Actor
from ..model.commands import ListCalls, ListParticipants, ListRooms
from ..model.results import Page, Participant, RoomSnapshot, RoomSummary, UTDCall
from ..model.room import Room
from ..model.rules import call_view
from ..store.base import Head
from .core import Core
from .deciding.lines import Lines
from .kinds import CALL, ROOM
from .media.presence import Presence

_SCAN = 100
_MOST_SCANS = 20
"""A page of a filtered list looks at so many batches at most; it may be short, and still have a next one."""


def snapshot(room: Room, presence: Presence | None, head: Head) -> RoomSnapshot:
    """The room as it is now, as everybody in it may know it: without its bans, which no event tells either.

    Everything that `apply` changes in place is copied.
    """
    copy = replace(
        room,
        stage=dict(room.stage),
        roles=dict(room.roles),
        overrides={role: dict(changes) for role, changes in room.overrides.items()},
        requests=dict(room.requests),
        ended_requests=dict(room.ended_requests),
        bans={},
        metadata=dict(room.metadata),
    )
    return RoomSnapshot(copy, 0 if presence is None else len(presence), head.epoch, head.offset)


def call_at(call: Call, head: Head) -> UTDCall:
    """The call as it is now."""
    return replace(call_view(call), epoch=head.epoch, offset=head.offset)


def participants(room: Room, presence: Presence | None, command: ListParticipants) -> Page[Participant]:
    """One page of who is in the room, by identity."""
    if presence is None:
        return Page(())
    identities = presence.page(command.cursor, command.limit + 1)
    page = identities[: command.limit]
    return Page(
        tuple(_participant(room, presence, identity) for identity in page),
        page[-1] if len(identities) > command.limit else None,
    )


def _participant(room: Room, presence: Presence, identity: str) -> Participant:
    member = presence.member(identity)
    assert member is not None
    return Participant(identity, member.name, room.role(identity), presence[identity], member.joined_at)


class Lists:
    """Queries over many rooms or calls, answered from what is committed."""

    def __init__(self, core: Core, lines: Lines) -> None:
        self._core = core
        self._lines = lines

    async def rooms(self, command: ListRooms) -> Page[RoomSummary]:
        """Rooms that have not ended, by name."""
        found: list[RoomSummary] = []
        after = command.cursor or ""
        for _ in range(_MOST_SCANS):
            rows = await self._core.store.states(ROOM.name, after=after, limit=_SCAN, ended=False)
            for row in rows:
                room = load(Room, row.payload)
                if command.type in (None, room.type) and command.phase in (None, room.phase):
                    if len(found) == command.limit:
                        return Page(tuple(found), after)
                    found.append(self._summary(room))
                after = row.key
            if len(rows) < _SCAN:
                return Page(tuple(found))
        return Page(tuple(found), after)

    async def calls(self, command: ListCalls, actor: Actor) -> Page[UTDCall]:
        """The actor's own calls, newest first; all calls for the application's server. Their places are left out.

        A page may be short: a call that was discarded is remembered by the line for a while.
        """
        if actor.is_trusted:
            # Ids of calls sort the newest first.
            rows = await self._core.store.states(
                CALL.name, after=command.cursor or "", limit=command.limit + 1, ended=None
            )
            ids = tuple(row.key for row in rows)
        else:
            ids = await self._lines.recent(actor.identity)
            if command.cursor is not None:
                if command.cursor not in ids:
                    return Page(())
                ids = ids[ids.index(command.cursor) + 1 :]
        page = ids[: command.limit]
        calls = [call for id in page if (call := await self._call(id)) is not None]
        return Page(tuple(calls), page[-1] if len(ids) > len(page) else None)

    def _summary(self, room: Room) -> RoomSummary:
        present = len(self._core.presences.get(room.name, ()))
        return RoomSummary(room.name, room.type, room.phase, present, room.created_at, room.metadata)

    async def _call(self, id: str) -> UTDCall | None:
        row = await self._core.store.load(CALL.name, id)
        return None if row is None else call_view(load(Call, row.payload))
