"""A commit as rows, and rows as envelopes. What cannot be written is found here, before a transaction begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import Conflict, InvalidInput, StoreFailed
from ..model.codec import dump, load_event
from ..model.event import Event
from .base import Answer, Commit, Envelope, StoredState

Row = dict[str, Any]
"""Parameters of a statement, by name."""


@dataclass(slots=True)
class Step:
    """A channel's head goes on from right before `first` to `last`."""

    channel: str
    epoch: str
    first: int
    last: int


@dataclass(slots=True)
class Rows:
    """One transaction's rows, in the order they are written in."""

    states: list[tuple[int, Row]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    answers: list[Row] = field(default_factory=list)


def rows_of(commit: Commit) -> Rows:
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
        rows.states.append((expected, _state_row(state)))
    rows.steps, rows.events = _event_rows(commit.events)
    rows.answers = [_answer_row(answer) for answer in commit.answers]
    return rows


def _state_row(state: StoredState) -> Row:
    return {
        "kind": state.kind,
        "key": state.key,
        "version": state.version,
        "payload": state.payload,
        "deadline": state.deadline,
        "ended_at": state.ended_at,
    }


def _event_rows(envelopes: list[Envelope]) -> tuple[list[Step], list[Row]]:
    steps: dict[str, Step] = {}
    rows: list[Row] = []
    event: Event | None = None
    payload = b""
    for envelope in envelopes:
        channel, offset = envelope.channel, envelope.offset
        step = steps.get(channel)
        if step is None:
            steps[channel] = Step(channel, envelope.epoch, offset, offset)
        elif step.epoch == envelope.epoch and step.last + 1 == offset:
            step.last = offset
        else:
            raise Conflict(f"channel {channel!r}: offset {offset} does not follow {step.last}; take the next free ones")
        if envelope.event is not event:
            # The same event on several channels is written as JSON once.
            event = envelope.event
            payload = _encode(event)
        rows.append(
            {
                "channel": channel,
                "offset": offset,
                "kind": envelope.kind,
                "key": envelope.key,
                "at": envelope.at,
                "type": event.type,
                "payload": payload,
            }
        )
    return list(steps.values()), rows


def _answer_row(answer: Answer) -> Row:
    return {
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


def envelope_of(channel: str, epoch: str, row: tuple[Any, ...]) -> Envelope:
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
