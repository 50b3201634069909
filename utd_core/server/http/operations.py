"""The operations of HTTP, one for each command of the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...model.codec import adapter
from ...model.command import COMMANDS, Command, CommandSpec
from ...model.wire import PREFIX
from .bindings import Binding


class Operation:
    """One command: where it is (`template`), how its fields are read (`binding`), and what it answers."""

    def __init__(self, command: type[Command]) -> None:
        self.command = command
        self.spec: CommandSpec = command.spec
        self.template = PREFIX + command.spec.path
        self.binding = Binding(command)
        self.status = status_of(command.spec)
        # What is built at its first use would otherwise hold up the first request.
        command.model_rebuild()
        self._result = adapter(command.spec.result)

    def body(self, result: Any) -> bytes:
        """The JSON of what the command answered."""
        return self._result.dump_json(result)


def status_of(spec: CommandSpec) -> int:
    """204 for a command that answers nothing, 201 for one that adds to what the same path lists, else 200."""
    if spec.result is None:
        return 204
    return 201 if spec.verb == "POST" and spec.path in _LISTED else 200


_LISTED = frozenset(command.spec.path for command in COMMANDS.values() if command.spec.query)


def operations() -> Mapping[str, Operation]:
    """All of them, by the names of their commands."""
    return {name: Operation(command) for name, command in COMMANDS.items()}
