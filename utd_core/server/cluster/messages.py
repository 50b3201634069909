"""What nodes say to each other about a project, and how it is written.

- Questions and answers are JSON, each with its `kind`. Commands and results are in it as they are on the wire to a
  client; a refusal is what its code and status say.
- A *stream* is what a holder sends to one node: a line with the name of the stream and the number of the message, then
  one line for each event, and for each admission that has ended. Numbers begin with 1 and have no hole.
- Nodes of two versions understand each other as far as their commands and events do: what one of them does not know is
  refused (`Unavailable`), never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError
from pydantic_core import from_json

from ...errors import ErrorCode, Unavailable, UTDStreamException
from ...model.codec import adapter, dump, load_event
from ...model.command import COMMANDS, Actor, Command
from ...model.wire import error_of
from ...store.base import Envelope, Head

_NUMBER = re.compile(r"[0-9]{1,18}\Z")
_SIGNAL, _OVER = ">", "#"
_MARKS = (_SIGNAL, _OVER)
LAST = 0
"""The number of the message that ends a stream."""


@dataclass(frozen=True, slots=True)
class Tenancy:
    """A time of holding a project. `term` rises with each change of holder, so what was meant for one holder is never
    taken for the next one, even on the same node."""

    app_id: str
    holder: str
    term: int


@dataclass(frozen=True, slots=True)
class Execute:
    """Do what a command says, as the actor. `fields` are those that were given, as JSON. `again`: it was asked before,
    and may be done."""

    tenancy: Tenancy
    command: str
    fields: str
    actor: Actor
    key: str | None
    again: bool = False
    kind: Literal["execute"] = "execute"


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a stream, on a topic of the asker's."""

    tenancy: Tenancy
    stream: str
    topic: str
    kind: Literal["open"] = "open"


@dataclass(frozen=True, slots=True)
class Follow:
    """Have the events of these channels in the stream from now on."""

    tenancy: Tenancy
    stream: str
    channels: tuple[str, ...]
    kind: Literal["follow"] = "follow"


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody who wants to follow a channel; `id` names the admission in the stream."""

    id: int
    channel: str
    actor: Actor


@dataclass(frozen=True, slots=True)
class Admit:
    """Let these follow; when one of them may no more, that is said in the stream."""

    tenancy: Tenancy
    stream: str
    wishes: tuple[Wish, ...]
    kind: Literal["admit"] = "admit"


@dataclass(frozen=True, slots=True)
class Beat:
    """The asker is there, and has nothing more to do with these channels and admissions."""

    tenancy: Tenancy
    stream: str
    unfollowed: tuple[str, ...] = ()
    dismissed: tuple[int, ...] = ()
    kind: Literal["beat"] = "beat"


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody says on a line of signalling: a message, or None when the line is over. `line` names it in the
    stream, where `channel` is whose room or call it is about."""

    line: int
    channel: str
    actor: Actor
    message: str | None


@dataclass(frozen=True, slots=True)
class Signal:
    """Say this to the control half, in this order; what it answers is said in the stream."""

    tenancy: Tenancy
    stream: str
    words: tuple[Word, ...]
    kind: Literal["signal"] = "signal"


Question = Execute | Open | Follow | Admit | Beat | Signal


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error, as it crosses."""

    code: str
    message: str
    status: int
    details: dict[str, Any] = field(default_factory=dict)

    def as_error(self) -> UTDStreamException:
        return error_of(self.status, self.code, self.message, self.details)


@dataclass(frozen=True, slots=True)
class Done:
    """`result`: JSON of what the command answers. `head`: of the channel that it is about, where that is known."""

    result: str
    head: Head | None
    kind: Literal["done"] = "done"


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine refused the command, or could not do it."""

    refusal: Refusal
    kind: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True)
class Admitted:
    """For each wish None, or why not."""

    refusals: tuple[Refusal | None, ...]
    kind: Literal["admitted"] = "admitted"


@dataclass(frozen=True, slots=True)
class Heard:
    """`number`: of the newest message in the stream."""

    number: int
    kind: Literal["heard"] = "heard"


@dataclass(frozen=True, slots=True)
class Gone:
    """Whoever was asked does not hold the project (any more), or knows nothing of the stream: ask whoever holds it now.

    A command that was under way when its holder ended may have been done; asked again under its key, it is answered.
    """

    kind: Literal["gone"] = "gone"


Answer = Done | Refused | Admitted | Heard | Gone

_QUESTION: Any = Annotated[Question, Field(discriminator="kind")]
_ANSWER: Any = Annotated[Answer, Field(discriminator="kind")]


def write(said: Question | Answer) -> bytes:
    """A question or an answer as bytes."""
    return dump(said)


def read_question(data: bytes) -> Question:
    """Raises `Unavailable` for what this version does not know."""
    return _read(_QUESTION, data)  # type: ignore[no-any-return]  # the adapter is of a union, which it checks


def read_answer(data: bytes) -> Answer:
    """Raises `Unavailable` for what this version does not know."""
    return _read(_ANSWER, data)  # type: ignore[no-any-return]  # the adapter is of a union, which it checks


def execute(tenancy: Tenancy, command: Command, actor: Actor, key: str | None, *, again: bool = False) -> Execute:
    """The question that a command is."""
    # What was not given is not sent: whether a field was given makes a difference to some commands.
    fields = command.model_dump_json(exclude_unset=True)
    return Execute(tenancy, command.spec.name, fields, actor, key, again)


def command_of(question: Execute) -> Command:
    """The command in a question. Raises `Unavailable` for one that this version does not know, and `InvalidInput`."""
    kind = COMMANDS.get(question.command)
    if kind is None:
        raise _other_version(f"the command {question.command!r:.80}")
    return kind.parse(question.fields)


def done(command: Command, result: Any, head: Head | None) -> Done:
    """What a command was answered, as it crosses."""
    shape = command.spec.result
    return Done("null" if shape is None else adapter(shape).dump_json(result).decode(), head)


def result_of(command: Command, answer: Done) -> Any:
    """What the command was answered. Raises `Unavailable` where this version cannot read it."""
    return None if command.spec.result is None else _read(command.spec.result, answer.result)


def refusal_of(error: UTDStreamException) -> Refusal:
    """An error as it crosses; of its details what JSON can say, the rest in words."""
    details = json.loads(json.dumps(dict(error.details), default=str)) if error.details else {}
    return Refusal(error.code, error.message, error.status_code, details)


def failure() -> Refusal:
    """What the other side is told of a mistake of ours; the log has the rest."""
    return Refusal(ErrorCode.INTERNAL, "the engine failed; report it with the log of the node that holds it", 500)


class Ended(NamedTuple):
    """An admission is over: with the error to tell, or because there is nothing more to follow."""

    admission: int
    error: UTDStreamException | None


class Signalled(NamedTuple):
    """The control half says something on a line of signalling."""

    line: int
    message: bytes


class LineOver(NamedTuple):
    """A line of signalling is over: `lost`, or by the control half's word."""

    line: int
    lost: bool


def signalled_line(line: int, message: bytes) -> str:
    """A word of the control half in a stream."""
    # JSON has ends of lines only between its words, where a space says as much.
    return f"{_SIGNAL}{line}\t{message.decode().replace(chr(10), ' ')}"


def line_over_line(line: int, *, lost: bool) -> str:
    """The end of a line of signalling in a stream."""
    return f"{_OVER}{line}\t{json.dumps(lost)}"


def event_line(envelope: Envelope) -> str:
    """An event in a stream."""
    e = envelope
    place = json.dumps((e.channel, e.epoch, e.offset, e.kind, e.key, e.at, e.event.type), ensure_ascii=False)
    # JSON has neither tabs nor ends of lines as such.
    return f"{place}\t{dump(e.event).decode()}"


def ended_line(admission: int, error: Exception | None) -> str:
    """The end of an admission in a stream."""
    if error is None:
        return f"{admission}\tnull"
    refusal = refusal_of(error) if isinstance(error, UTDStreamException) else failure()
    return f"{admission}\t{dump(refusal).decode()}"


def stream_message(stream: str, number: int, lines: Sequence[str]) -> bytes:
    """A message of a stream."""
    return "\n".join((f"{stream} {number}", *lines)).encode()


def last_message(stream: str) -> bytes:
    """What is said when a stream ends: its holder holds the project no more."""
    return f"{stream} {LAST}".encode()


def read_stream_message(message: bytes) -> tuple[str, int, list[str]]:
    """Name of the stream, number of the message, and its lines. Raises `Unavailable`."""
    try:
        title, *lines = message.decode().split("\n")
    except UnicodeDecodeError:
        raise _other_version("a message of a stream") from None
    stream, _, number = title.partition(" ")
    if not _NUMBER.match(number):
        raise _other_version("a message of a stream")
    return stream, int(number), lines


def read_line(line: str) -> Envelope | Ended | Signalled | LineOver:
    """An event, the end of an admission, or something of a line of signalling. Raises `Unavailable` for an event that
    this version does not know."""
    title, _, content = line.partition("\t")
    mark, number = title[:1], title[1:]
    if mark in _MARKS and _NUMBER.match(number):
        return Signalled(int(number), content.encode()) if mark == _SIGNAL else LineOver(int(number), content == "true")
    if title.isdigit():
        refusal = None if content == "null" else _read(Refusal, content)
        return Ended(int(title), None if refusal is None else refusal.as_error())
    try:
        channel, epoch, offset, kind, key, at, type_name = from_json(title)
        return Envelope(channel, epoch, offset, kind, key, at, load_event(type_name, content))
    except (ValueError, KeyError):
        raise _other_version("an event") from None


def _read(kind: Any, data: bytes | str) -> Any:
    try:
        return adapter(kind).validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _other_version(f"what it said ({problem['msg']})") from None


def _other_version(what: str) -> Unavailable:
    return Unavailable(f"another node runs another version: {what} is not known here; try again, or upgrade all nodes")
