"""What is asked of the database and done to it, in terms of the statements and nothing else.

The same for every database and driver: a `Session` runs statements, in the transaction that its owner has begun. They
are coroutines because a session on the network waits for its answers; SQLite's never does, and a coroutine that never
waits is just a function (`sqlite.at_once`).

Rows are locked in one order everywhere, so that no two transactions wait for each other: leases, then states, then
channels, each in the order of their names; then events and answers, which nobody else has; then lanes of the outbox, by
name too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import Delete, Insert, Select, Update

from ..errors import Conflict
from . import statements as sql
from .base import Answer, Envelope, Head, Remains, StoredState
from .faults import LOST_RACE
from .lease_queries import hold
from .outbox_queries import OutboxQueries, put_out
from .rows import Row, Rows, envelope_of

T = TypeVar("T")

CHANNELS_AT_ONCE = 500
"""Channels that one step of pruning looks at."""
EVENTS_AT_ONCE = 5_000
"""Rows of one channel, or answers, that one step of pruning deletes, so that commits need not wait long."""


class Session(Protocol):
    """Runs statements in a transaction."""

    async def read(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """All rows."""
        ...

    async def find_all(self, statement: Select[Any], rows: Sequence[Row]) -> int:
        """Run the query once for each of the rows, at least one; how many rows it found in all."""
        ...

    async def write(self, statement: Insert | Update | Delete, parameters: Mapping[str, Any]) -> int:
        """How many rows were changed."""
        ...

    async def write_many(self, statement: Insert | Update, rows: Sequence[Row]) -> int:
        """Run the statement once for each of the rows, at least one, in order; how many rows were changed in all."""
        ...


Operation: TypeAlias = Callable[[Session], Awaitable[T]]
"""What is done in one go."""


async def commit(session: Session, rows: Rows) -> None:
    """Write a transaction's rows. Raises `Conflict` and `Deposed`."""
    if rows.terms:
        await hold(session, rows.terms)
    if rows.new_states:
        await session.write_many(sql.INSERT_STATE, rows.new_states)
    if rows.states and await session.write_many(sql.UPDATE_STATE, rows.states) != len(rows.states):
        raise Conflict(f"{await _changed(session, rows.states)} {LOST_RACE}")
    if rows.new_channels:
        await session.write_many(sql.INSERT_CHANNEL, rows.new_channels)
    if rows.channels and await session.write_many(sql.MOVE_CHANNEL, rows.channels) != len(rows.channels):
        raise Conflict(f"a channel (one of {_names(rows.channels)}) {LOST_RACE}")
    if rows.events:
        await session.write_many(sql.INSERT_EVENT, rows.events)
    if rows.answers:
        await session.write_many(sql.INSERT_ANSWER, rows.answers)
    if rows.outbox:
        await put_out(session, rows.outbox)


async def holds(session: Session, rows: Rows) -> bool:
    """Whether these rows were committed. All of them were, or none, so one is looked at that nobody else writes."""
    if rows.events:
        event = rows.events[-1]
        place = {"of_project": event["project"], "of_name": event["channel"], "after": event["offset"] - 1, "limit": 1}
        found = await session.read(sql.HISTORY, place)
        return bool(found) and all(
            found[0][3 + number] == event[name]
            for number, name in enumerate(("offset", "kind", "key", "at", "type", "payload"))
        )
    if rows.answers:
        answer = rows.answers[-1]
        guard = {"of_project": answer["project"], "of_actor": answer["actor"], "of_key": answer["key"]}
        found = await session.read(sql.LOAD_ANSWER, guard)
        return bool(found) and all(found[0][2 + n] == answer[name] for n, name in enumerate(("fingerprint", "payload")))
    for state in rows.states[-1:] or rows.new_states[-1:]:
        guard = {f"of_{name}": state.get(f"of_{name}", state.get(name)) for name in ("project", "kind", "key")}
        found = await session.read(sql.LOAD_STATE, guard)
        return bool(found) and (found[0][2], found[0][3]) == (state["version"], state["payload"])
    return True


async def _changed(session: Session, states: Sequence[Row]) -> str:
    """In words, the first of these states that was not as expected."""
    for row in states:
        guard = {name: row[name] for name in ("of_project", "of_kind", "of_key")}
        found = await session.read(sql.LOAD_STATE, guard)
        if not found or found[0][2] != row["version"]:
            return f"{row['of_kind']} {row['of_key']!r}"
    return "a state"


def _names(channels: Sequence[Row]) -> str:
    named = ", ".join(repr(row["of_name"]) for row in channels[:3])
    return named if len(channels) <= 3 else f"{named}, ..."


async def begin_project(session: Session, project: str, fresh: str) -> str:
    """The epoch of a project's channels that nobody has published on; `fresh` from now on, if it has none yet.

    Raises `Conflict` when another process gave it one at this moment.
    """
    of_project = {"of_project": project}
    if not (found := await session.read(sql.LOAD_EPOCH, of_project)):
        await session.write(sql.INSERT_EPOCH, {"project": project, "epoch": fresh})
        return fresh
    epoch: str = found[0][0]
    return epoch


class Queries:
    """The operations of a `Store` on a session, each with what `Store` says of it, for one project.

    `epoch`: that of channels which nobody has published on.
    """

    __slots__ = ("_epoch", "_project", "_session")

    def __init__(self, session: Session, project: str, epoch: str) -> None:
        self._session = session
        self._project = project
        self._epoch = epoch

    @property
    def session(self) -> Session:
        return self._session

    @property
    def outbox(self) -> OutboxQueries:
        return OutboxQueries(self._session, self._project)

    async def load(self, kind: str, key: str) -> StoredState | None:
        guard = {"of_project": self._project, "of_kind": kind, "of_key": key}
        rows = await self._session.read(sql.LOAD_STATE, guard)
        return StoredState(*rows[0]) if rows else None

    async def states(self, kind: str, after: str, limit: int, ended: bool | None) -> list[StoredState]:
        page = {"of_project": self._project, "of_kind": kind, "after": after, "limit": limit}
        which = sql.STATES if ended is None else sql.STATES_ENDED if ended else sql.STATES_GOING_ON
        return [StoredState(*row) for row in await self._session.read(which, page)]

    async def ended(self, before: float, limit: int) -> list[tuple[str, str, int]]:
        rows = await self._session.read(sql.ENDED, {"of_project": self._project, "before": before, "limit": limit})
        return [(kind, key, version) for kind, key, version in rows]

    async def discard(self, remains: Sequence[Remains]) -> list[bool]:
        session, project = self._session, self._project
        gone: set[Remains] = set()
        for each in sorted(remains, key=lambda each: (each.kind, each.key)):
            guard = {"of_project": project, "of_kind": each.kind, "of_key": each.key, "of_version": each.version}
            if await session.write(sql.DELETE_ENDED, guard):
                gone.add(each)
        for channel in sorted(each.channel for each in gone if each.channel is not None):
            await session.write(sql.DELETE_CHANNEL, {"of_project": project, "of_name": channel})
            await session.write(sql.DELETE_ALL_EVENTS, {"of_project": project, "of_channel": channel})
        return [each in gone for each in remains]

    async def due(self, now: float, limit: int) -> list[tuple[str, str, int]]:
        rows = await self._session.read(sql.DUE, {"of_project": self._project, "now": now, "limit": limit})
        return [(kind, key, version) for kind, key, version in rows]

    async def next_deadline(self) -> float | None:
        rows = await self._session.read(sql.NEXT_DEADLINE, {"of_project": self._project})
        deadline: float | None = rows[0][0]
        return deadline

    async def answer(self, actor: str, key: str) -> Answer | None:
        guard = {"of_project": self._project, "of_actor": actor, "of_key": key}
        rows = await self._session.read(sql.LOAD_ANSWER, guard)
        return Answer(*rows[0]) if rows else None

    async def head(self, channel: str) -> Head:
        rows = await self._session.read(sql.LOAD_CHANNEL, {"of_project": self._project, "of_name": channel})
        return Head(*rows[0]) if rows else Head(self._epoch, 0)

    async def history(self, channel: str, epoch: str, after: int, limit: int) -> list[Envelope] | None:
        page = {"of_project": self._project, "of_name": channel, "after": after, "limit": limit}
        rows = await self._session.read(sql.HISTORY, page)
        present, newest, pruned = rows[0][:3] if rows else (self._epoch, 0, 0)
        if epoch != present or not pruned <= after <= newest:
            return None
        # A channel without such events is one row that has none.
        return [envelope_of(channel, epoch, row[3:]) for row in rows if row[3] is not None]

    async def prune_events(self, before: float, keep: int, after: str) -> tuple[int, str | None]:
        """One step over the channels beyond `after`: how many events were deleted, and where the next step begins."""
        session, project = self._session, self._project
        deleted = 0
        page = {"of_project": project, "after": after, "limit": CHANNELS_AT_ONCE}
        channels = await session.read(sql.CHANNELS, page)
        for name, epoch, newest, pruned in channels:
            if newest - pruned <= keep:
                continue
            up_to = {"of_project": project, "of_channel": name, "last": min(newest - keep, pruned + EVENTS_AT_ONCE)}
            (young,) = (await session.read(sql.FIRST_YOUNG_EVENT, {**up_to, "before": before}))[0]
            if young is not None:
                # Only ever from the oldest end, whatever the times say, so that no hole is left in the middle.
                up_to["last"] = young - 1
            last = up_to["last"]
            mark = {"of_project": project, "of_name": name, "of_epoch": epoch, "last": last, "pruned": last}
            if last <= pruned or not await session.write(sql.MARK_PRUNED, mark):
                continue
            deleted += await session.write(sql.DELETE_EVENTS, up_to)
            if deleted >= EVENTS_AT_ONCE:
                return deleted, after
        return deleted, channels[-1][0] if len(channels) == CHANNELS_AT_ONCE else None

    async def prune_answers(self, before: float) -> int:
        """One step: how many answers older than `before` were deleted, 0 when none is left."""
        oldest = {"of_project": self._project, "before": before, "limit": EVENTS_AT_ONCE}
        (last,) = (await self._session.read(sql.OLD_ANSWERS_UNTIL, oldest))[0]
        if last is None:
            return 0
        return await self._session.write(sql.DELETE_ANSWERS, {"of_project": self._project, "last": last})
