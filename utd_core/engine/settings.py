"""What an engine can be tuned with. All times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Every value must be above zero, or None where that is said. Raises `InvalidInput` when made with another.

    - `ticket_ttl`: how long a join ticket is good for, and how long a place is kept for a media connection to come.
    - `user_token_ttl`: how long a user token is good for.
    - `return_grace`: how long a lost media connection, or an engine that was started anew, leaves somebody's place
      untouched.
    - `leave_linger`: how long somebody who left may take to disconnect before the engine does it.
    - `reconcile_interval`: between two comparisons of all that is granted with what the media backend has.
    - `reconcile_concurrency`: calls to the media backend at once; `backend_timeout`: the longest that one may take.
    - `retry_first`, `retry_limit`: the first and the longest wait before a failed call is tried again.
    - `deadline_interval`: the longest time between two looks for deadlines that another engine on this store has set.
    - `queue_capacity`: commands that wait for one room or call; one more is refused as `RateLimited`.
    - `batch_limit`: commands of one room or call in one transaction.
    - `resident_limit`: rooms and calls kept in memory besides those that are in use.
    - `history_seconds`, `history_events`: events of a channel are kept while they are younger, or among the newest.
    - `answer_seconds`: how long a repeated command is recognised by its idempotency key.
    - `ended_retention`: how long rooms and calls that ended are kept, with their events (at least for `ticket_ttl`);
      None: for ever.
    - `prune_interval`: between two clean-ups of all that.
    - `close_grace`: how long closing waits for the transaction that is under way.
    """

    ticket_ttl: float = 60.0
    user_token_ttl: float = 43_200.0
    return_grace: float = 20.0
    leave_linger: float = 2.0
    reconcile_interval: float = 30.0
    reconcile_concurrency: int = 16
    backend_timeout: float = 10.0
    retry_first: float = 0.2
    retry_limit: float = 10.0
    deadline_interval: float = 10.0
    queue_capacity: int = 1_000
    batch_limit: int = 256
    resident_limit: int = 10_000
    history_seconds: float = 300.0
    history_events: int = 300
    answer_seconds: float = 86_400.0
    ended_retention: float | None = 86_400.0
    prune_interval: float = 60.0
    close_grace: float = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and str(field.type).endswith("| None"):
                continue
            number = int if field.type == "int" else int | float
            if not isinstance(value, number) or isinstance(value, bool) or not value > 0:
                kind = "a whole number" if field.type == "int" else "a number"
                raise InvalidInput(f"engine setting {field.name} must be {kind} above zero, got {value!r}")
