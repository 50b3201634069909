"""Facts: what `decide` returns and `apply` takes.

- An event is a frozen dataclass of plain values. Its `type` is its class name in snake_case, stable on the wire.
- `by` is always who did it: an identity, `$server` (the application's server) or `$system` (a timer, a disconnect).
- Times (`at`, `..._at`) are seconds since the Unix epoch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

EVENTS: dict[str, type[Event]] = {}


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all facts. Subclasses register themselves by type."""

    type: ClassVar[str] = "event"

    def __init_subclass__(cls) -> None:
        # slots=True makes a second class of the same name: the later one is the real one and replaces the first.
        cls.type = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        EVENTS[cls.type] = cls
