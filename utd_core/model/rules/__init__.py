"""What may happen. `decide` for each aggregate, one module per concept.

    decide_room, decide_call, decide_project    (state | None, command, context) -> events, or a `Refused`
    answer_room, answer_call, answer_project    (state, command, events, context) -> the command's result

A new rule about seats goes to `seats.py`, about who may do something to `access.py`, and so on.

- Handlers never change the state: they look, and return facts for `apply`, which refuses none of them.
"""

from .answers import answer_call, answer_project, answer_room, call_view
from .call import decide_call
from .project import decide_project
from .room import decide_room

__all__ = [
    "answer_call",
    "answer_project",
    "answer_room",
    "call_view",
    "decide_call",
    "decide_project",
    "decide_room",
]
