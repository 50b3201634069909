"""Every statement, once, for every database. A parameter has the name of its column; in a condition it is `of_...`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, bindparam, func, select

from .tables import answer, channel, epoch, event, state


def _of(column: Column[Any]) -> Any:
    return column == bindparam(f"of_{column.name}")


LOAD_STATE = select(state).where(_of(state.c.kind), _of(state.c.key))
INSERT_STATE = state.insert()
UPDATE_STATE = (
    state.update()
    .where(_of(state.c.kind), _of(state.c.key), _of(state.c.version))
    .values({column: bindparam(column.name) for column in state.c if not column.primary_key})
)

_OF_KIND = select(state).where(_of(state.c.kind), state.c.key > bindparam("after"))
STATES = _OF_KIND.order_by(state.c.key).limit(bindparam("limit"))
STATES_GOING_ON = STATES.where(state.c.ended_at.is_(None))
STATES_ENDED = STATES.where(state.c.ended_at.is_not(None))

ENDED = (
    select(state.c.kind, state.c.key, state.c.version)
    .where(state.c.ended_at.is_not(None), state.c.ended_at < bindparam("before"))
    .order_by(state.c.ended_at)
    .limit(bindparam("limit"))
)
DELETE_ENDED = state.delete().where(
    _of(state.c.kind), _of(state.c.key), _of(state.c.version), state.c.ended_at.is_not(None)
)

NEXT_DEADLINE = select(func.min(state.c.deadline)).where(state.c.deadline.is_not(None))
DUE = (
    select(state.c.kind, state.c.key)
    .where(state.c.deadline.is_not(None), state.c.deadline <= bindparam("now"))
    .order_by(state.c.deadline)
    .limit(bindparam("limit"))
)

LOAD_EPOCH = select(epoch.c.epoch)
INSERT_EPOCH = epoch.insert()

LOAD_CHANNEL = select(channel.c.epoch, channel.c.offset, channel.c.pruned).where(_of(channel.c.name))
INSERT_CHANNEL = channel.insert()
MOVE_CHANNEL = (
    channel.update()
    .where(_of(channel.c.name), _of(channel.c.epoch), _of(channel.c.offset))
    .values(offset=bindparam("offset"))
)
DELETE_CHANNEL = channel.delete().where(_of(channel.c.name))
CHANNELS = (
    select(channel.c.name, channel.c.offset, channel.c.pruned)
    .where(channel.c.name > bindparam("after"))
    .order_by(channel.c.name)
    .limit(bindparam("limit"))
)
MARK_PRUNED = channel.update().where(_of(channel.c.name)).values(pruned=bindparam("pruned"))

INSERT_EVENT = event.insert()
HISTORY = (
    select(event.c.offset, event.c.kind, event.c.key, event.c.at, event.c.type, event.c.payload)
    .where(_of(event.c.channel), event.c.offset > bindparam("after"))
    .order_by(event.c.offset)
    .limit(bindparam("limit"))
)
_UP_TO = (_of(event.c.channel), event.c.offset <= bindparam("last"))
FIRST_YOUNG_EVENT = select(func.min(event.c.offset)).where(*_UP_TO, event.c.at >= bindparam("before"))
DELETE_EVENTS = event.delete().where(*_UP_TO)
DELETE_ALL_EVENTS = event.delete().where(_of(event.c.channel))

LOAD_ANSWER = select(answer).where(_of(answer.c.actor), _of(answer.c.key))
INSERT_ANSWER = answer.insert()
_OLDEST_ANSWERS = (
    select(answer.c.at)
    .where(answer.c.at < bindparam("before"))
    .order_by(answer.c.at)
    .limit(bindparam("limit"))
    .subquery()
)
OLD_ANSWERS_UNTIL = select(func.max(_OLDEST_ANSWERS.c.at))
DELETE_ANSWERS = answer.delete().where(answer.c.at <= bindparam("last"))
