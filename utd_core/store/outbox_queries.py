"""The operations of an `Outbox` on a session, for one project; see `queries.py`.

Rows are locked in one order here too: parcels, then their lane. A commit, which comes from the other side, inserts
parcels that nobody else sees yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import outbox_statements as sql
from .outbox import DeadLetter, OutboxFigures, Outgoing, Parcel
from .rows import Row, outgoing_row

if TYPE_CHECKING:
    from .queries import Session


class OutboxQueries:
    __slots__ = ("_project", "_session")

    def __init__(self, session: Session, project: str) -> None:
        self._session = session
        self._project = project

    async def claim(self, endpoint: str, now: float, until: float, limit: int) -> list[Parcel]:
        claimed = []
        # By name, as a commit locks them too.
        for kind, key, due, tries, first_at in sorted(await self.lanes_due(endpoint, now, limit), key=_name):
            began = now if first_at is None else first_at
            taken = {**self._lane(endpoint, kind, key), "of_due": due, "until": until, "claimed_at": began}
            if await self._session.write(sql.CLAIM_LANE, taken):
                head = await self._head(endpoint, kind, key, tries, began, until)
                if head is not None:
                    claimed.append(head)
        return claimed

    async def lanes_due(self, endpoint: str, now: float, limit: int) -> Sequence[Sequence[Any]]:
        """(kind, key, due, tries, first_at) of lanes that are due, the longest due first."""
        page = {"of_project": self._project, "of_endpoint": endpoint, "now": now, "limit": limit}
        return await self._session.read(sql.LANES_DUE, page)

    async def next_due(self, endpoint: str) -> float | None:
        rows = await self._session.read(sql.NEXT_DUE, {"of_project": self._project, "of_endpoint": endpoint})
        due: float | None = rows[0][0]
        return due

    async def delivered(self, parcel: Parcel, now: float, until: float) -> Parcel | None:
        gone = {"of_project": self._project, "of_number": parcel.number}
        if not await self._session.write(sql.DELETE_PARCEL, gone):
            # Somebody else had it too, or this is done a second time because its first answer was lost.
            return None
        return await self._go_on(parcel, now, until)

    async def postpone(self, parcel: Parcel, due: float) -> None:
        await self._session.write(
            sql.POSTPONE_LANE, {**self._lane_of(parcel), "of_due": parcel.held_until, "until": due}
        )

    async def hand_back(self, parcel: Parcel, now: float) -> None:
        released = {**self._lane_of(parcel), "of_due": parcel.held_until, "until": now}
        await self._session.write(sql.RELEASE_LANE, released)

    async def bury(self, parcel: Parcel, reason: str, now: float, until: float) -> Parcel | None:
        gone = {"of_project": self._project, "of_number": parcel.number}
        if not await self._session.write(sql.DELETE_PARCEL, gone):
            return None
        row = {
            **outgoing_row(parcel.outgoing, self._project),
            "number": parcel.number,
            "tries": parcel.tries + 1,
            "died_at": now,
            "reason": reason,
        }
        await self._session.write_many(sql.INSERT_DEAD, [row])
        return await self._go_on(parcel, now, until)

    async def dead(self, endpoint: str | None, after: int, limit: int) -> list[DeadLetter]:
        page = {"of_project": self._project, "after": after, "limit": limit}
        if endpoint is None:
            return [_dead_letter(row) for row in await self._session.read(sql.DEAD, page)]
        of_endpoint = {**page, "of_endpoint": endpoint}
        return [_dead_letter(row) for row in await self._session.read(sql.DEAD_OF_ENDPOINT, of_endpoint)]

    async def revive(self, number: int, now: float) -> bool:
        found = {"of_project": self._project, "of_number": number}
        rows = await self._session.read(sql.LOAD_DEAD, found)
        if not rows or not await self._session.write(sql.DELETE_DEAD, found):
            return False
        row = {**outgoing_row(_dead_letter(rows[0]).outgoing, self._project), "at": now}
        await put_out(self._session, [row])
        return True

    async def discard(self, endpoint: str) -> int:
        of_endpoint = {"of_project": self._project, "of_endpoint": endpoint}
        # Lanes first: a commit that is adding to one is waited for, and its parcel then is deleted with the others.
        await self._session.write(sql.DISCARD_LANES, of_endpoint)
        parcels = await self._session.write(sql.DISCARD_PARCELS, of_endpoint)
        return parcels + await self._session.write(sql.DISCARD_DEAD, of_endpoint)

    async def figures(self) -> dict[str, OutboxFigures]:
        of_project = {"of_project": self._project}
        waiting = await self._session.read(sql.COUNT_WAITING, of_project)
        dead: dict[str, int] = dict(await self._session.read(sql.COUNT_DEAD, of_project))  # type: ignore[arg-type]  # pairs
        found = {endpoint: OutboxFigures(count, oldest, dead.pop(endpoint, 0)) for endpoint, count, oldest in waiting}
        return {**found, **{endpoint: OutboxFigures(dead=count) for endpoint, count in dead.items()}}

    async def prune_dead(self, before: float) -> int:
        return await self._session.write(sql.PRUNE_DEAD, {"of_project": self._project, "before": before})

    async def _go_on(self, parcel: Parcel, now: float, until: float) -> Parcel | None:
        """The next one of the lane, which is one shorter now."""
        lane, outgoing = self._lane_of(parcel), parcel.outgoing
        await self._session.write(sql.SHORTEN_LANE, lane)
        if await self._session.write(sql.CLOSE_LANE, lane):
            return None
        mine = {**lane, "of_due": parcel.held_until, "until": until, "claimed_at": now}
        if not await self._session.write(sql.NEXT_IN_LANE, mine):
            return None
        return await self._head(outgoing.endpoint, outgoing.kind, outgoing.key, 0, now, until)

    async def _head(
        self, endpoint: str, kind: str, key: str, tries: int, first_at: float, until: float
    ) -> Parcel | None:
        rows = await self._session.read(sql.HEAD_OF_LANE, self._lane(endpoint, kind, key))
        if not rows:
            return None
        number, id, type, at, payload = rows[0]
        return Parcel(number, Outgoing(endpoint, kind, key, id, type, at, payload), tries, first_at, until)

    def _lane(self, endpoint: str, kind: str, key: str) -> Row:
        return {"of_project": self._project, "of_endpoint": endpoint, "of_kind": kind, "of_key": key}

    def _lane_of(self, parcel: Parcel) -> Row:
        return self._lane(parcel.outgoing.endpoint, parcel.outgoing.kind, parcel.outgoing.key)


async def put_out(session: Session, parcels: Sequence[Row]) -> None:
    """Put parcels at the ends of their lanes, and open those that are new."""
    lanes: dict[tuple[str, str, str, str], Row] = {}
    for row in parcels:
        name = (row["project"], row["endpoint"], row["kind"], row["key"])
        lane = lanes.setdefault(name, _lane_row(*name, due=row["at"]))
        lane["waiting"] += 1
    await session.write_many(sql.INSERT_PARCEL, parcels)
    await session.write_many(sql.OPEN_LANE, [lanes[name] for name in sorted(lanes)])


def _name(lane: Sequence[Any]) -> tuple[str, str]:
    kind, key, *_ = lane
    return kind, key


def _lane_row(project: str, endpoint: str, kind: str, key: str, *, due: float) -> Row:
    lane = {"project": project, "endpoint": endpoint, "kind": kind, "key": key}
    return {**lane, "due": due, "tries": 0, "first_at": None, "waiting": 0}


def _dead_letter(row: Sequence[Any]) -> DeadLetter:
    number, endpoint, kind, key, id, type, at, payload, tries, died_at, reason = row
    return DeadLetter(number, Outgoing(endpoint, kind, key, id, type, at, payload), tries, died_at, reason)
