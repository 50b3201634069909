"""A commit as rows, and rows as envelopes. What cannot be written is found here, before a transaction begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from ..errors import Conflict, InvalidInput, StoreFailed
from ..model.codec import dump, load_event
from ..model.event import Event
from .base import Answer, Commit, Envelope, StoredState
from .outbox import Outgoing

Row = dict[str, Any]
"""Parameters of a statement, by name."""


@dataclass(slots=True)
class Rows:
    """One transaction's rows, in the order they are written in; and `terms` of leases, which must not have ended.

    `states` and `channels` are there already and must be as the `of_...` parameters say; the others must be new.
    """

    terms: list[Row] = field(default_factory=list)
    new_states: list[Row] = field(default_factory=list)
    states: list[Row] = field(default_factory=list)
    new_channels: list[Row] = field(default_factory=list)
    channels: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    answers: list[Row] = field(default_factory=list)
    outbox: list[Row] = field(default_factory=list)


def together(commits: Sequence[Rows]) -> Rows:
    """The rows of several commits as those of one, in the order in which every transaction locks rows.

    What two commits do to one row stays in the order of the commits.
    """
    every = {name: [row for rows in commits for row in getattr(rows, name)] for name in _ORDER}
    for name, key in _ORDER.items():
        if key is not None:
            every[name].sort(key=key)
    return Rows(**every)


def rows_of(commit: Commit, project: str) -> Rows:
    """The rows of a commit, events as JSON.

    Raises `InvalidInput` for an event that is no JSON, `Conflict` where the events leave a hole among themselves, and
    `StoreFailed` for a version that does not rise.
    """
    rows = Rows()
    for state, expected in commit.states:
        if not 0 <= expected < state.version:
            raise StoreFailed(
                f"{state.kind} {state.key!r} cannot go from version {expected} to {state.version}; it must rise"
            )
        if expected == 0:
            rows.new_states.append(_new_state(state, project))
        else:
            rows.states.append(_next_state(state, expected, project))
    _write_events(rows, commit.events, project)
    rows.answers = [_answer(answer, project) for answer in commit.answers]
    rows.outbox = [outgoing_row(outgoing, project) for outgoing in commit.outbox]
    return rows


def outgoing_row(outgoing: Outgoing, project: str) -> Row:
    return {
        "project": project,
        "endpoint": outgoing.endpoint,
        "kind": outgoing.kind,
        "key": outgoing.key,
        "id": outgoing.id,
        "type": outgoing.type,
        "at": outgoing.at,
        "payload": outgoing.payload,
    }


_ORDER: Mapping[str, Callable[[Row], Any] | None] = {
    "terms": itemgetter("of_project"),
    "new_states": itemgetter("project", "kind", "key"),
    "states": itemgetter("of_project", "of_kind", "of_key"),
    "new_channels": itemgetter("project", "name"),
    "channels": itemgetter("of_project", "of_name"),
    # Who moved the channel's head is alone with its new events.
    "events": None,
    "answers": itemgetter("project", "actor", "key"),
    # What is in one lane stays in the order of the commits.
    "outbox": None,
}


def _new_state(state: StoredState, project: str) -> Row:
    return {
        "project": project,
        "kind": state.kind,
        "key": state.key,
        "version": state.version,
        "payload": state.payload,
        "deadline": state.deadline,
        "ended_at": state.ended_at,
    }


def _next_state(state: StoredState, expected: int, project: str) -> Row:
    return {
        "of_project": project,
        "of_kind": state.kind,
        "of_key": state.key,
        "of_version": expected,
        "version": state.version,
        "payload": state.payload,
        "deadline": state.deadline,
        "ended_at": state.ended_at,
    }


@dataclass(slots=True)
class _Step:
    """A channel's head goes on from right before `first` to `last`."""

    channel: str
    epoch: str
    first: int
    last: int


def _write_events(rows: Rows, envelopes: list[Envelope], project: str) -> None:
    steps: dict[str, _Step] = {}
    event: Event | None = None
    payload = b""
    for envelope in envelopes:
        channel, offset = envelope.channel, envelope.offset
        step = steps.get(channel)
        if step is None:
            steps[channel] = _Step(channel, envelope.epoch, offset, offset)
        elif step.epoch == envelope.epoch and step.last + 1 == offset:
            step.last = offset
        else:
            raise Conflict(f"channel {channel!r}: offset {offset} does not follow {step.last}; take the next free ones")
        if envelope.event is not event:
            # The same event on several channels is written as JSON once.
            event = envelope.event
            payload = _encode(event)
        rows.events.append(
            {
                "project": project,
                "channel": channel,
                "offset": offset,
                "kind": envelope.kind,
                "key": envelope.key,
                "at": envelope.at,
                "type": event.type,
                "payload": payload,
            }
        )
    for step in steps.values():
        # A channel's first event names its epoch; those after it must be of the same.
        if step.first == 1:
            rows.new_channels.append(
                {"project": project, "name": step.channel, "epoch": step.epoch, "offset": step.last, "pruned": 0}
            )
        else:
            rows.channels.append(
                {
                    "of_project": project,
                    "of_name": step.channel,
                    "of_epoch": step.epoch,
                    "of_offset": step.first - 1,
                    "offset": step.last,
                }
            )


def _answer(answer: Answer, project: str) -> Row:
    return {
        "project": project,
        "actor": answer.actor,
        "key": answer.key,
        "fingerprint": answer.fingerprint,
        "payload": answer.payload,
        "at": answer.at,
    }


def _encode(event: Event) -> bytes:
    try:
        return dump(event)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"the event {event.type} holds what JSON cannot say: {error}") from error


def envelope_of(channel: str, epoch: str, row: Sequence[Any]) -> Envelope:
    """The envelope of a row (offset, kind, key, at, type, payload). Raises `StoreFailed` where it is no known event."""
    offset, kind, key, at, type_name, payload = row
    try:
        event = load_event(type_name, payload)
    except (KeyError, ValueError) as error:
        raise StoreFailed(
            f"event {offset} of channel {channel!r} is a {type_name!r} that this version of utd-core cannot read; "
            "it was written by a newer one: upgrade"
        ) from error
    return Envelope(channel, epoch, offset, kind, key, at, event)
