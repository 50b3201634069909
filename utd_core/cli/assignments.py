"""`--flag NAME=VALUE` and `--limit NAME=VALUE`, checked against the fields that they set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput

if TYPE_CHECKING:
    from ..server import ProjectFlags, ProjectLimits

_WORDS = {"true": True, "false": False, "unknown": None}
_NONE = "none"


def flags_of(assignments: Iterable[str], kind: type[ProjectFlags]) -> dict[str, bool | None]:
    """Flags by name: true, false, or unknown where the field has that. Raises `InvalidInput`."""
    return {name: _flag(name, value, type_) for name, value, type_ in _assigned(assignments, kind, "flag")}


def limits_of(assignments: Iterable[str], kind: type[ProjectLimits]) -> dict[str, float | None]:
    """Limits by name: a number, or none. Raises `InvalidInput`."""
    return {name: _limit(name, value, type_) for name, value, type_ in _assigned(assignments, kind, "limit")}


def _assigned(assignments: Iterable[str], kind: type[Any], what: str) -> Iterable[tuple[str, str, str]]:
    """Name, value, and the annotation of the field."""
    types = {field.name: str(field.type) for field in fields(kind)}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if name not in types:
            near = get_close_matches(name, types, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(types)}"
            raise InvalidInput(f"there is no {what} {name!r}; {hint}")
        if not separator:
            raise InvalidInput(f"--{what} takes {name}=VALUE")
        yield name, value.strip().lower(), types[name]


def _flag(name: str, value: str, annotation: str) -> bool | None:
    allowed = [word for word, flag in _WORDS.items() if flag is not None or "None" in annotation]
    if value not in allowed:
        raise InvalidInput(f"flag {name} is one of {', '.join(allowed)}, got {value!r:.80}")
    return _WORDS[value]


def _limit(name: str, value: str, annotation: str) -> float | None:
    if value == _NONE:
        return None
    try:
        return int(value) if annotation.startswith("int") else float(value)
    except ValueError:
        number = "a whole number" if annotation.startswith("int") else "a number"
        raise InvalidInput(f"limit {name} is {number}, or none, got {value!r:.80}") from None
