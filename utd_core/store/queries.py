"""What is asked of the database and done to it, in terms of the statements and nothing else.

The same for every database and driver: a `Session` runs statements, in this thread, in the transaction that its owner
has begun. An asynchronous driver gives one through SQLAlchemy's `run_sync`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Delete, Insert, Select, Update

from ..errors import Conflict
from . import statements as sql
from .base import Answer, Envelope, Head, Remains, StoredState
from .faults import LOST_RACE
from .rows import Row, Rows, Step, envelope_of

CHANNELS_AT_ONCE = 500
"""Channels that one step of pruning looks at."""
EVENTS_AT_ONCE = 5_000
"""Rows of one channel, or answers, that one step of pruning deletes, so that commits need not wait long."""


class Session(Protocol):
    """Runs statements in a transaction."""

    def read(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """All rows."""
        ...

    def write(self, statement: Insert | Update | Delete, parameters: Mapping[str, Any]) -> int:
        """How many rows were changed."""
        ...

    def write_many(self, statement: Insert, rows: Sequence[Row]) -> None:
        """Insert the rows, in order."""
        ...


class Queries:
    """The operations of a `Store` on a session, each with what `Store` says of it."""

    __slots__ = ("_epoch", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._epoch: str | None = None

    @property
    def epoch(self) -> str:
        """The database's own, the same as long as it exists; of a channel, until its first event names one."""
        if self._epoch is None:
            self._epoch = self._session.read(sql.LOAD_EPOCH, {})[0][0]
        return self._epoch

    def load(self, kind: str, key: str) -> StoredState | None:
        rows = self._session.read(sql.LOAD_STATE, {"of_kind": kind, "of_key": key})
        return _state(rows[0]) if rows else None

    def states(self, kind: str, after: str, limit: int, ended: bool | None) -> list[StoredState]:
        page = {"of_kind": kind, "after": after, "limit": limit}
        if ended is None:
            return [_state(row) for row in self._session.read(sql.STATES, page)]
        return [_state(row) for row in self._session.read(sql.STATES_ENDED if ended else sql.STATES_GOING_ON, page)]

    def ended(self, before: float, limit: int) -> list[tuple[str, str, int]]:
        rows = self._session.read(sql.ENDED, {"before": before, "limit": limit})
        return [(kind, key, version) for kind, key, version in rows]

    def discard(self, remains: Sequence[Remains]) -> list[bool]:
        return [self._discard(each) for each in remains]

    def _discard(self, remains: Remains) -> bool:
        guard = {"of_kind": remains.kind, "of_key": remains.key, "of_version": remains.version}
        if self._session.write(sql.DELETE_ENDED, guard) != 1:
            return False
        if remains.channel is not None:
            self._session.write(sql.DELETE_ALL_EVENTS, {"of_channel": remains.channel})
            self._session.write(sql.DELETE_CHANNEL, {"of_name": remains.channel})
        return True

    def due(self, now: float, limit: int) -> list[tuple[str, str]]:
        return [(kind, key) for kind, key in self._session.read(sql.DUE, {"now": now, "limit": limit})]

    def next_deadline(self) -> float | None:
        deadline: float | None = self._session.read(sql.NEXT_DEADLINE, {})[0][0]
        return deadline

    def answer(self, actor: str, key: str) -> Answer | None:
        rows = self._session.read(sql.LOAD_ANSWER, {"of_actor": actor, "of_key": key})
        return Answer(*rows[0]) if rows else None

    def head(self, channel: str) -> Head:
        rows = self._session.read(sql.LOAD_CHANNEL, {"of_name": channel})
        return Head(rows[0][0], rows[0][1]) if rows else Head(self.epoch, 0)

    def history(self, channel: str, epoch: str, after: int, limit: int) -> list[Envelope] | None:
        heads = self._session.read(sql.LOAD_CHANNEL, {"of_name": channel})
        present, newest, pruned = heads[0] if heads else (self.epoch, 0, 0)
        if epoch != present or not pruned <= after <= newest:
            return None
        rows = self._session.read(sql.HISTORY, {"of_channel": channel, "after": after, "limit": limit})
        return [envelope_of(channel, epoch, row) for row in rows]

    def commit(self, rows: Rows) -> None:
        session = self._session
        for expected, row in rows.states:
            if expected == 0:
                session.write(sql.INSERT_STATE, row)
                continue
            guard = {"of_kind": row["kind"], "of_key": row["key"], "of_version": expected}
            if session.write(sql.UPDATE_STATE, {**row, **guard}) != 1:
                raise Conflict(f"{row['kind']} {row['key']!r} {LOST_RACE}")
        for step in rows.steps:
            self._move(step)
        if rows.events:
            session.write_many(sql.INSERT_EVENT, rows.events)
        if rows.answers:
            session.write_many(sql.INSERT_ANSWER, rows.answers)

    def _move(self, step: Step) -> None:
        """A channel's head to its new place, from right before it; its first event names the epoch."""
        session, name = self._session, step.channel
        if step.first == 1:
            row = {"name": name, "epoch": step.epoch, "offset": step.last, "pruned": 0}
            session.write(sql.INSERT_CHANNEL, row)
            return
        guard = {"of_name": name, "of_epoch": step.epoch, "of_offset": step.first - 1, "offset": step.last}
        if session.write(sql.MOVE_CHANNEL, guard) != 1:
            raise Conflict(f"channel {name!r} {LOST_RACE}")

    def prune_events(self, before: float, keep: int, after: str) -> tuple[int, str | None]:
        """One step over the channels beyond `after`: how many events were deleted, and where the next step begins."""
        deleted = 0
        channels = self._session.read(sql.CHANNELS, {"after": after, "limit": CHANNELS_AT_ONCE})
        for name, newest, pruned in channels:
            if newest - pruned <= keep:
                continue
            last = min(newest - keep, pruned + EVENTS_AT_ONCE)
            young = self._session.read(sql.FIRST_YOUNG_EVENT, {"of_channel": name, "last": last, "before": before})
            if young[0][0] is not None:
                # Only ever from the oldest end, whatever the times say, so that no hole is left in the middle.
                last = young[0][0] - 1
            if last <= pruned:
                continue
            deleted += self._session.write(sql.DELETE_EVENTS, {"of_channel": name, "last": last})
            self._session.write(sql.MARK_PRUNED, {"of_name": name, "pruned": last})
            if deleted >= EVENTS_AT_ONCE:
                return deleted, after
        return deleted, channels[-1][0] if len(channels) == CHANNELS_AT_ONCE else None

    def prune_answers(self, before: float) -> int:
        """One step: how many answers older than `before` were deleted, 0 when none is left."""
        last = self._session.read(sql.OLD_ANSWERS_UNTIL, {"before": before, "limit": EVENTS_AT_ONCE})[0][0]
        return 0 if last is None else self._session.write(sql.DELETE_ANSWERS, {"last": last})


def _state(row: tuple[Any, ...]) -> StoredState:
    return StoredState(*row)
