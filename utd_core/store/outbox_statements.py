"""The statements of the outbox; see `statements.py`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert

from .statements import all_of, of
from .tables import dead_letter, lane, outbox

# Parameters are the caller's; what is always the same is part of the words.
_ZERO, _ONE = literal_column("0", Integer), literal_column("1", Integer)

_OF_LANE = of(lane.c.endpoint, lane.c.kind, lane.c.key)
_PARCEL = (outbox.c.id, outbox.c.type, outbox.c.at, outbox.c.payload)

INSERT_PARCEL = outbox.insert().values(
    {column: bindparam(column.name) for column in outbox.c if column is not outbox.c.number}
)


def _open_lane() -> Any:
    """A new lane, or one more that waits in it. SQLite and PostgreSQL say this in the same words."""
    new = insert(lane)
    return new.on_conflict_do_update(
        index_elements=list(lane.primary_key), set_={lane.c.waiting: lane.c.waiting + new.excluded.waiting}
    )


OPEN_LANE = _open_lane()

LANES_DUE = (
    select(lane.c.kind, lane.c.key, lane.c.due, lane.c.tries, lane.c.first_at)
    .where(of(lane.c.endpoint), lane.c.due <= bindparam("now"))
    .order_by(lane.c.due)
    .limit(bindparam("limit"))
)
NEXT_DUE = select(func.min(lane.c.due)).where(of(lane.c.endpoint))
CLAIM_LANE = (
    lane.update().where(_OF_LANE, of(lane.c.due)).values(due=bindparam("until"), first_at=bindparam("claimed_at"))
)
POSTPONE_LANE = lane.update().where(_OF_LANE, of(lane.c.due)).values(due=bindparam("until"), tries=lane.c.tries + _ONE)
RELEASE_LANE = lane.update().where(_OF_LANE, of(lane.c.due)).values(due=bindparam("until"))
SHORTEN_LANE = lane.update().where(_OF_LANE).values(waiting=lane.c.waiting - _ONE)
NEXT_IN_LANE = (
    lane.update()
    .where(_OF_LANE, of(lane.c.due))
    .values(due=bindparam("until"), first_at=bindparam("claimed_at"), tries=_ZERO)
)
CLOSE_LANE = lane.delete().where(_OF_LANE, lane.c.waiting <= _ZERO)

HEAD_OF_LANE = (
    select(outbox.c.number, *_PARCEL)
    .where(of(outbox.c.endpoint, outbox.c.kind, outbox.c.key))
    .order_by(outbox.c.number)
    .limit(_ONE)
)
DELETE_PARCEL = outbox.delete().where(of(outbox.c.number))

INSERT_DEAD = dead_letter.insert()
_DEAD = (
    dead_letter.c.number,
    dead_letter.c.endpoint,
    dead_letter.c.kind,
    dead_letter.c.key,
    dead_letter.c.id,
    dead_letter.c.type,
    dead_letter.c.at,
    dead_letter.c.payload,
    dead_letter.c.tries,
    dead_letter.c.died_at,
    dead_letter.c.reason,
)
DEAD = (
    select(*_DEAD)
    .where(all_of(dead_letter), dead_letter.c.number > bindparam("after"))
    .order_by(dead_letter.c.number)
    .limit(bindparam("limit"))
)
DEAD_OF_ENDPOINT = DEAD.where(of(dead_letter.c.endpoint))
LOAD_DEAD = select(*_DEAD).where(of(dead_letter.c.number))
DELETE_DEAD = dead_letter.delete().where(of(dead_letter.c.number))
PRUNE_DEAD = dead_letter.delete().where(all_of(dead_letter), dead_letter.c.died_at < bindparam("before"))

DISCARD_LANES = lane.delete().where(of(lane.c.endpoint))
DISCARD_PARCELS = outbox.delete().where(of(outbox.c.endpoint))
DISCARD_DEAD = dead_letter.delete().where(of(dead_letter.c.endpoint))

COUNT_WAITING = (
    select(outbox.c.endpoint, func.count(), func.min(outbox.c.at)).where(all_of(outbox)).group_by(outbox.c.endpoint)
)
COUNT_DEAD = select(dead_letter.c.endpoint, func.count()).where(all_of(dead_letter)).group_by(dead_letter.c.endpoint)
