"""What may be set of how nodes work together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Times are in seconds.

    - `patience`: how long a command, or somebody who wants to follow a channel, waits for a holder that can be asked:
      longer than a lease lasts, so that the death of a node is a delay and no error.
    - `attempt`: how long one question may take until it is asked again, which is answered with the first answer.
    - `follow_patience`: the same for those who followed already, and would be sent away.
    - `retry`: between two looks at who holds a project, while nobody can be asked.
    - `beat`: how often a node tells a holder that it is there; `silence`: how long either may say nothing until the
      other one takes it for gone.
    - `idle`: how long a node that asks nothing keeps its connection to a holder.
    - `stream_capacity`: events that a node may fall behind a holder; `questions`: that a node answers at once.
    """

    patience: float = 10.0
    attempt: float = 4.0
    follow_patience: float = 30.0
    retry: float = 0.25
    beat: float = 1.0
    silence: float = 3.0
    idle: float = 60.0
    stream_capacity: int = 10_000
    questions: int = 10_000
