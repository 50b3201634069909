"""What holds of every decision, whatever is decided."""

from __future__ import annotations

import pytest

from utd_core.model.codec import dump
from utd_core.model.commands import COMMANDS, Internal

from ..authorization import room_rows
from ..rulebook import rule
from ..scenes import arrange, is_of_a_room

ALLOWED = [
    (row.name, role)
    for row in room_rows()
    for role in ("owner", "server")
    if row.allowed[role] == "+" and is_of_a_room(row.name)
]


@rule("Handlers never change the state: they look, and return facts for `apply`, which refuses none of them.")
@pytest.mark.parametrize(("name", "role"), ALLOWED)
def test_deciding_changes_nothing_and_what_was_decided_is_applied(name: str, role: str) -> None:
    world, actor, command = arrange(name, role)
    before = None if world.state is None else dump(world.state)
    events = world.decide(actor, command)
    assert (None if world.state is None else dump(world.state)) == before
    assert world.decide(actor, command) == events
    for event in events:
        world.apply(event)


@rule("None of it is ever on the wire.")
def test_no_command_that_can_be_sent_is_the_engine_s_own() -> None:
    internal = Internal.__subclasses__()
    assert internal
    assert not {kind.__name__ for kind in internal} & {kind.__name__ for kind in COMMANDS.values()}
    assert not any(hasattr(kind, "spec") or hasattr(kind, "parse") for kind in internal)
