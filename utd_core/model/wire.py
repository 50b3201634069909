"""How commands travel over HTTP: what a client and a server have to agree on.

A command is a request below `PREFIX`. The fields that its path names stand in the path; the others in the query of a
GET or DELETE, in a JSON object otherwise. In path and query everything is text. Fields that nobody set are left out.

A refusal is `{message, code, details?}` with the status of its code. Who receives it raises what the code is raised
as; a code that this version does not know is raised as what its status says.

An answer about a room or a call says where that one's channel is by now (`PLACE_HEADER`). Answers and events come by
different ways, and whoever follows the channel up to there has seen the events of the command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from ..errors import ErrorCode, Unavailable, UTDStreamException, exception_of
from .channels import call_channel, room_channel
from .command import Aggregate, Command, CommandSpec

PREFIX = "/api/v1"
PLACE_HEADER = "x-utd-place"

_NAME = re.compile(r"{(\w+)}")
_DOTS = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`target`: path and query, percent-encoded. `body`: JSON, None where there is nothing to say."""

    method: str
    target: str
    body: bytes | None = None


def path_fields(spec: CommandSpec) -> tuple[str, ...]:
    """The fields that stand in the path."""
    return tuple(_NAME.findall(spec.path))


def has_body(spec: CommandSpec) -> bool:
    """Whether the fields that are not in the path stand in the body; else they are in the query."""
    return spec.verb not in ("GET", "DELETE")


def request_of(command: Command) -> HttpRequest:
    """The request that a command is."""
    spec = command.spec
    in_path, place = _places(type(command))
    target = PREFIX + place.format_map({name: _segment(getattr(command, name)) for name in in_path})
    if has_body(spec):
        body = command.model_dump_json(exclude=set(in_path), exclude_unset=True)
        return HttpRequest(spec.verb, target, None if body == "{}" else body.encode())
    query = {
        name: _text(value)
        for name in sorted(command.model_fields_set.difference(in_path))
        if (value := getattr(command, name)) is not None
    }
    return HttpRequest(spec.verb, f"{target}?{urlencode(query, quote_via=quote)}" if query else target)


def error_of(status: int, code: str, message: str, details: Mapping[str, Any] | None = None) -> UTDStreamException:
    """What a refusal from the other side is raised as at a client.

    `closed` is said of an engine that ends, which its client takes for one that will be back.
    """
    if code == ErrorCode.CLOSED:
        return Unavailable(message, details=details)
    return exception_of(status, code, message, details)


def channel_of(command: Command) -> str | None:
    """The channel of the room or call that a command is about, None for other commands."""
    if (room := getattr(command, "room", None)) is not None:
        return room_channel(room)
    if command.spec.aggregate is Aggregate.CALL and (id := getattr(command, "id", None)) is not None:
        return call_channel(id)
    return None


def place_text(epoch: str, offset: int) -> str:
    """A place in a channel, as `PLACE_HEADER` has it."""
    return f"{epoch}/{offset}"


def read_place(text: str) -> tuple[str, int] | None:
    """The epoch and offset that a header says; None for what is no place."""
    epoch, slash, offset = text.rpartition("/")
    return (epoch, int(offset)) if slash and offset.isascii() and offset.isdigit() and len(offset) < 19 else None


@cache
def _places(command: type[Command]) -> tuple[tuple[str, ...], str]:
    return path_fields(command.spec), command.spec.path


def _segment(value: Any) -> str:
    """A value as one segment of a path. Segments of dots alone would be taken for directions."""
    text = _text(value)
    return "".join("%2E" for _ in text) if text in _DOTS else quote(text, safe="")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.value if isinstance(value, Enum) else value)
