"""Write docs/reference/commands.md from the command table.

python scripts/reference_commands.py            write the page
python scripts/reference_commands.py --check    exit 1 when the page is not what the table says
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utd_core.model import commands as package
from utd_core.model.command import COMMANDS, Command, CommandSpec
from utd_core.model.roles import DEFAULT_CAPABILITIES, Capability

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "commands.md"
GROUPS = ("rooms", "seats", "requests", "stage", "moderation", "bans", "calls")
TITLES = {"rooms": "Sessions and rooms", "moderation": "Moderation"}
PREFIX = "/api/v1"

HEAD = """\
# Commands

Everything that an engine can be asked to do. An application rarely gives commands itself: a session's methods do. They
are what those methods send, what `engine.execute(...)` takes, and what the HTTP routes are made of:

    await engine.execute(TakeSeat(room="lobby", index=3), actor=Actor("ann"))

- A command checks its own fields: one that is malformed raises `InvalidInput` when it is made.
- *Needs* names the capability that the giver's role must have, with the roles that have it by default. The
  application's server (`THE_SERVER`) may give every command that does not need somebody to be in a room.
- *On somebody*: whom it acts on must have a lower rank than the giver.
- *In the room*: only somebody who is in it.
- Commands other than `GET` take an idempotency key: repeated under the same key they are answered with the first
  answer, and done once.

<!-- Written by scripts/reference_commands.py from the command table; change the table, then run it. -->
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *overview(), *(line for group in GROUPS for line in section(group))]).rstrip() + "\n"


def overview() -> Iterator[str]:
    yield "| command | route | answer |"
    yield "|---|---|---|"
    for group in GROUPS:
        for command in commands_of(group):
            spec = command.spec
            route = f"`{spec.verb} {spec.path}`"
            yield f"| [{command.__name__}](#{command.__name__.lower()}) | {route} | {result_of(spec)} |"
    yield ""


def section(group: str) -> Iterator[str]:
    module = inspect.getmodule(commands_of(group)[0])
    assert module is not None
    yield f"## {TITLES.get(group, group.capitalize())}"
    yield ""
    yield inspect.getdoc(module) or ""
    yield ""
    for command in commands_of(group):
        yield from entry(command)


def entry(command: type[Command]) -> Iterator[str]:
    spec = command.spec
    yield f"### {command.__name__}"
    yield ""
    yield f"`{spec.verb} {PREFIX}{spec.path}`"
    yield ""
    yield own_words(command)
    yield ""
    yield from (f"- {rule}" for rule in rules(spec))
    yield ""
    properties: dict[str, Any] = command.model_json_schema().get("properties", {})
    if properties:
        yield "| field | value | default |"
        yield "|---|---|---|"
        definitions = command.model_json_schema().get("$defs", {})
        for name, schema in properties.items():
            field = command.model_fields[name]
            default = "" if field.is_required() else f"`{plain(field.get_default(call_default_factory=True))}`"
            yield f"| `{name}` | {value(schema, definitions)} | {default} |"
        yield ""


def rules(spec: CommandSpec) -> Iterator[str]:
    yield f"Answers {result_of(spec)}."
    if spec.capability is not None:
        yield f"Needs `{spec.capability.value}` ({', '.join(roles_with(spec.capability))})."
    if spec.target is not None:
        yield f"On somebody: `{spec.target}`."
    if spec.presence:
        yield "In the room."


def roles_with(capability: Capability) -> list[str]:
    return [role.value for role, has in DEFAULT_CAPABILITIES.items() if capability in has]


def result_of(spec: CommandSpec) -> str:
    if spec.result is None:
        return "nothing"
    name = (
        spec.result.__name__
        if isinstance(spec.result, type) and not hasattr(spec.result, "__args__")
        else str(spec.result)
    )
    return f"`{re.sub(r'[a-z_]+[.]', '', name)}`"


def value(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A JSON schema in words."""
    if "$ref" in schema:
        return value(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in schema:
        return " or ".join(value(option, definitions) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{option}`" for option in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any")
    if kind == "null":
        return "`None`"
    return f"{_KINDS.get(kind, kind)}{bounds(schema)}"


_KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "seconds",
    "boolean": "true or false",
    "object": "JSON object",
}


def bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum", schema.get("minLength")), schema.get("maximum", schema.get("maxLength"))
    above = schema.get("exclusiveMinimum")
    unit = " characters" if schema.get("type") == "string" else ""
    if above is not None:
        return f", above {number(above)}" + ("" if high is None else f", up to {number(high)}")
    if low is None:
        return "" if high is None else f", up to {number(high)}{unit}"
    return f", {number(low)} to {number(high)}{unit}" if high is not None else f", from {number(low)}{unit}"


def number(figure: float) -> str:
    return f"{figure:,.16g}"


def plain(default: Any) -> str:
    return str(getattr(default, "value", repr(default)))


def own_words(command: type[Command]) -> str:
    return inspect.cleandoc(command.__doc__ or "")


def commands_of(group: str) -> list[type[Command]]:
    home = f"{package.__name__}.{group}"
    return [command for command in COMMANDS.values() if command.__module__ == home]


def main() -> int:
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is not what the command table says; run python scripts/reference_commands.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
