"""Arguments as they come from an application, before anything relies on their type."""

from __future__ import annotations

import math
from enum import StrEnum
from os import PathLike, fspath
from pathlib import Path
from typing import TypeVar

from ..errors import InvalidInput

E = TypeVar("E", bound=StrEnum)


def is_number(value: object) -> bool:
    """An int or float that is neither a bool, nor infinite, nor NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_choice(choices: type[E], value: object) -> E:
    """The member of an enum, from itself or its value. Raises `InvalidInput` that lists the choices."""
    try:
        return choices(str(value))
    except ValueError:
        raise InvalidInput(
            f"{choices.__name__} must be one of {', '.join(choice.value for choice in choices)}, got {value!r}"
        ) from None


def check_capacity(value: object, what: str = "capacity") -> None:
    """Raises `InvalidInput` unless a queue can hold that many."""
    if type(value) is not int or value < 1:
        raise InvalidInput(f"{what} must be a whole number of at least 1, got {value!r}")


def check_path(value: object) -> Path:
    """Raises `InvalidInput` for what can be no file name."""
    if isinstance(value, str | PathLike):
        name = fspath(value)
        if isinstance(name, str) and name and "\0" not in name:
            return Path(name)
    raise InvalidInput(f"path must be the name of a file, got {value!r}")
