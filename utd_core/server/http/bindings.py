"""Where the fields of a command stand in a request.

- Fields that the path names are in the path. The others are in the query of a GET or DELETE, in the body of all else.
- A field stands in one place: it is refused elsewhere, and so is one that the command does not have.
- In path and query everything is text. Text that reads as the number, or the true or false, that the field wants
  becomes it; any other is left to the command, which says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import parse_qsl

from ...errors import InvalidInput
from ...model.command import Command
from ...model.wire import has_body, path_fields

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,3})?\Z")
_TRUTHS = {"true": True, "false": False}
_MOST_QUERY_FIELDS = 64


class Binding:
    """The places of one command's fields."""

    def __init__(self, command: type[Command]) -> None:
        spec = command.spec
        self.command = command
        self.path = path_fields(spec)
        self.has_body = has_body(spec)
        self.others = tuple(name for name in command.model_fields if name not in self.path)
        self._readers = {name: reader(field.annotation) for name, field in command.model_fields.items()}
        if missing := set(self.path) - set(command.model_fields):
            raise TypeError(f"{spec.path} names what {command.__name__} has no field for: {missing}")

    def bind(self, path: Mapping[str, str], query: bytes, body: Mapping[str, Any]) -> Command:
        """The command of a request. Raises `InvalidInput`, or `TooLarge` where a field is."""
        fields = {name: self._readers[name](text) for name, text in path.items()}
        if not (query or body):
            return self.command.parse(fields)
        given = self._from_query(query)
        if given and self.has_body:
            raise InvalidInput(f"{_names(given)}: fields of {self.command.spec.verb} go into the body; move them there")
        if body and not self.has_body:
            raise InvalidInput(f"{self.command.spec.verb} takes no body; move its fields into the query")
        for place in (given, body):
            if twice := [name for name in place if name in fields]:
                raise InvalidInput(f"{_names(twice)} stands in the path; leave it out elsewhere")
        return self.command.parse({**fields, **given, **body})

    def _from_query(self, query: bytes) -> dict[str, Any]:
        if not query:
            return {}
        try:
            pairs = parse_qsl(
                query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_QUERY_FIELDS
            )
        except ValueError:
            raise InvalidInput(
                f"the query is not {_MOST_QUERY_FIELDS} fields at most, percent-encoded as UTF-8; change it"
            ) from None
        fields = dict(pairs)
        if len(fields) < len(pairs):
            raise InvalidInput("a field stands in the query twice; send each once")
        return {name: self._readers.get(name, str)(text) for name, text in fields.items()}


Reader = Callable[[str], Any]


def reader(annotation: Any) -> Reader:
    """What turns text into a value of this type; text that does not look like one stays text."""
    kinds = _kinds(annotation)
    if str in kinds:
        return str
    if bool in kinds:
        return lambda text: _TRUTHS.get(text, text)
    if float in kinds:
        return lambda text: float(text) if _NUMBER.match(text) else text
    if int in kinds:
        return lambda text: int(text) if _WHOLE.match(text) else text
    return str


def _kinds(annotation: Any) -> set[type]:
    """The plain types that a field may have, besides None and the values of a `Literal`."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return set().union(*map(_kinds, get_args(annotation)))
    if origin is Literal or annotation is type(None):
        return set()
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {str} if issubclass(annotation, str) else set()
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    return {annotation} if isinstance(annotation, type) else set()


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:32]) for name in islice(names, 4))
