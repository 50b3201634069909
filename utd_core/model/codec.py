"""States and events as JSON bytes, the same in the store and on the wire."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

from .event import EVENTS, Event

T = TypeVar("T")


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def adapter(kind: Any) -> TypeAdapter[Any]:
    """The (cached) pydantic adapter of a type."""
    known = _ADAPTERS.get(kind)
    if known is None:
        known = _ADAPTERS[kind] = TypeAdapter(kind)
    return known


def dump(value: Any) -> bytes:
    """JSON of a state, event or result dataclass."""
    return adapter(type(value)).dump_json(value)


def load(kind: type[T], data: bytes | str) -> T:
    """A dataclass of `kind` from its JSON."""
    return cast(T, adapter(kind).validate_json(data))


def load_event(type_name: str, data: bytes | str) -> Event:
    """An event from its type and JSON. Raises `KeyError` for a type that this version does not know."""
    return load(EVENTS[type_name], data)
