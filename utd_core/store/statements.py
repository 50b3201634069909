"""Every statement, once, for every database. A parameter has the name of its column; in a condition it is `of_...`.

All but those at the end look at the rows of one project only, `of_project`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Table, and_, bindparam, func, literal_column, select, union

from .tables import answer, changes, channel, dead_letter, epoch, event, lane, lease, outbox, project, state, wish


def of(*columns: Column[Any]) -> Any:
    """The row, or the rows, where the project's columns have these values."""
    table = columns[0].table
    return and_(*(column == bindparam(f"of_{column.name}") for column in (table.c.project, *columns)))


def all_of(table: Table) -> Any:
    return table.c.project == bindparam("of_project")


def _set(table: Table) -> dict[Column[Any], Any]:
    return {column: bindparam(column.name) for column in table.c if not column.primary_key}


_STATE = (state.c.kind, state.c.key, state.c.version, state.c.payload, state.c.deadline, state.c.ended_at)

LOAD_STATE = select(*_STATE).where(of(state.c.kind, state.c.key))
INSERT_STATE = state.insert()
UPDATE_STATE = state.update().where(of(state.c.kind, state.c.key, state.c.version)).values(_set(state))

_OF_KIND = select(*_STATE).where(of(state.c.kind), state.c.key > bindparam("after"))
STATES = _OF_KIND.order_by(state.c.key).limit(bindparam("limit"))
STATES_GOING_ON = STATES.where(state.c.ended_at.is_(None))
STATES_ENDED = STATES.where(state.c.ended_at.is_not(None))

ENDED = (
    select(state.c.kind, state.c.key, state.c.version)
    .where(all_of(state), state.c.ended_at.is_not(None), state.c.ended_at < bindparam("before"))
    .order_by(state.c.ended_at)
    .limit(bindparam("limit"))
)
DELETE_ENDED = state.delete().where(of(state.c.kind, state.c.key, state.c.version), state.c.ended_at.is_not(None))

_WAITING = (all_of(state), state.c.deadline.is_not(None))
NEXT_DEADLINE = select(func.min(state.c.deadline)).where(*_WAITING)
DUE = (
    select(state.c.kind, state.c.key, state.c.version)
    .where(*_WAITING, state.c.deadline <= bindparam("now"))
    .order_by(state.c.deadline)
    .limit(bindparam("limit"))
)

LOAD_EPOCH = select(epoch.c.epoch).where(all_of(epoch))
INSERT_EPOCH = epoch.insert()

LOAD_CHANNEL = select(channel.c.epoch, channel.c.offset).where(of(channel.c.name))
INSERT_CHANNEL = channel.insert()
MOVE_CHANNEL = (
    channel.update().where(of(channel.c.name, channel.c.epoch, channel.c.offset)).values(offset=bindparam("offset"))
)
DELETE_CHANNEL = channel.delete().where(of(channel.c.name))
CHANNELS = (
    select(channel.c.name, channel.c.epoch, channel.c.offset, channel.c.pruned)
    .where(all_of(channel), channel.c.name > bindparam("after"))
    .order_by(channel.c.name)
    .limit(bindparam("limit"))
)
# Who prunes beside another one does not take back what that one has done, nor touches a channel that began anew.
MARK_PRUNED = (
    channel.update()
    .where(of(channel.c.name, channel.c.epoch), channel.c.pruned < bindparam("last"))
    .values(pruned=bindparam("pruned"))
)

INSERT_EVENT = event.insert()
# Head and events in one look, so that nobody can discard the channel, or prune it, between two.
HISTORY = (
    select(
        channel.c.epoch,
        channel.c.offset,
        channel.c.pruned,
        event.c.offset,
        event.c.kind,
        event.c.key,
        event.c.at,
        event.c.type,
        event.c.payload,
    )
    .select_from(channel)
    .outerjoin(
        event,
        and_(
            event.c.project == channel.c.project,
            event.c.channel == channel.c.name,
            event.c.offset > bindparam("after"),
        ),
    )
    .where(of(channel.c.name))
    .order_by(event.c.offset)
    .limit(bindparam("limit"))
)
_UP_TO = (of(event.c.channel), event.c.offset <= bindparam("last"))
FIRST_YOUNG_EVENT = select(func.min(event.c.offset)).where(*_UP_TO, event.c.at >= bindparam("before"))
DELETE_EVENTS = event.delete().where(*_UP_TO)
DELETE_ALL_EVENTS = event.delete().where(of(event.c.channel))

LOAD_ANSWER = select(answer.c.actor, answer.c.key, answer.c.fingerprint, answer.c.payload, answer.c.at).where(
    of(answer.c.actor, answer.c.key)
)
INSERT_ANSWER = answer.insert()
_OLDEST_ANSWERS = (
    select(answer.c.at)
    .where(all_of(answer), answer.c.at < bindparam("before"))
    .order_by(answer.c.at)
    .limit(bindparam("limit"))
    .subquery()
)
OLD_ANSWERS_UNTIL = select(func.max(_OLDEST_ANSWERS.c.at))
DELETE_ANSWERS = answer.delete().where(all_of(answer), answer.c.at <= bindparam("last"))


def _some(table: Table, column: Column[Any]) -> Any:
    """Rows of the project, at least `limit` of them if there are so many."""
    some = select(column).where(all_of(table)).limit(bindparam("limit"))
    return table.delete().where(all_of(table), column.in_(some))


PURGE = (
    # First: whoever still works for the project writes nothing any more.
    lease.delete().where(all_of(lease)),
    wish.delete().where(all_of(wish)),
    _some(outbox, outbox.c.number),
    _some(lane, lane.c.key),
    _some(dead_letter, dead_letter.c.number),
    _some(event, event.c.channel),
    _some(channel, channel.c.name),
    _some(answer, answer.c.key),
    _some(state, state.c.key),
)
DELETE_EPOCH = epoch.delete().where(all_of(epoch))

# What a server asks about all its projects.

_DUE = union(
    select(state.c.project).where(state.c.deadline.is_not(None), state.c.deadline <= bindparam("now")),
    select(lane.c.project).where(lane.c.due <= bindparam("now")),
).subquery()
PROJECTS_DUE = select(_DUE.c.project)
PROJECTS = select(project).order_by(project.c.app_id)
PROJECT_VERSIONS = select(project.c.app_id, project.c.version, project.c.key)
_OF_WHAT = changes.c.what == bindparam("of_what")
CHANGES = select(changes.c.number).where(_OF_WHAT)
COUNT_CHANGE = changes.update().where(_OF_WHAT).values(number=changes.c.number + literal_column("1"))
INSERT_CHANGES = changes.insert()
LOAD_PROJECT = select(project).where(project.c.app_id == bindparam("of_app_id"))
INSERT_PROJECT = project.insert()
UPDATE_PROJECT = (
    project.update()
    .where(project.c.app_id == bindparam("of_app_id"), project.c.version == bindparam("of_version"))
    .values(_set(project))
)
DELETE_PROJECT = project.delete().where(project.c.app_id == bindparam("of_app_id"))
