"""What an engine tells about itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """A snapshot: gauges of this moment, counters since the engine was made.

    - `rooms`, `calls`: with somebody in them, or about to be; `participants`: identities in all rooms.
    - `resident`: rooms and calls held in memory; `waiting`: commands not decided yet;
      `subscriptions`: to rooms, by those who are in them.
    - `commands`: by (name, result); the result is `ok` or an error code.
    - `commits`, `events`: transactions made, and events in them; `refused_for`: seconds since the store has refused
      every one that was tried, 0 where it took the last one.
    - `reconcile_waiting`: differences between what is granted and what the backend has, known and not yet mended;
      `reconcile_lag`: age of the oldest of them, `reconcile_lag_max`: longest that one took (seconds);
      `reconcile_failures`: calls to the backend that failed and are tried again.
    """

    rooms: int = 0
    calls: int = 0
    participants: int = 0
    resident: int = 0
    waiting: int = 0
    subscriptions: int = 0
    commands: Mapping[tuple[str, str], int] = field(default_factory=Counter)
    commits: int = 0
    events: int = 0
    refused_for: float = 0.0
    reconcile_waiting: int = 0
    reconcile_lag: float = 0.0
    reconcile_lag_max: float = 0.0
    reconcile_failures: int = 0
