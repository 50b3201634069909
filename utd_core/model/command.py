"""The command table: each command is one frozen class, declared once.

Its fields, its HTTP verb and path, the capability it needs and its result type stand together. Routes, the
remote client, the OpenAPI page, the authorization matrix test and the reference docs are produced from `COMMANDS`.

- A command checks its own fields, so one that exists is well formed; whether it is *allowed* is for `decide`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import InvalidInput
from .bans import Ban
from .identifiers import SERVER, SYSTEM
from .roles import Capability

_MOST_PROBLEMS = 8
_MOST_NAME = 64


class Aggregate(StrEnum):
    """What a command is decided on; commands on one aggregate are decided one after the other."""

    ROOM = "room"
    CALL = "call"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who gives a command. `identity` is a user's, or `$server` for the application's server, or `$system`.

    `generation`: that of the user token which the actor showed; None for one who is known in another way.
    """

    identity: str
    device: str = "default"
    name: str = ""
    generation: int | None = field(default=None, compare=False)

    @property
    def is_trusted(self) -> bool:
        """The application's server and the engine itself stand above every rank."""
        return self.identity in (SERVER, SYSTEM)


THE_SERVER = Actor(SERVER)
THE_SYSTEM = Actor(SYSTEM)


class Context(NamedTuple):
    """Everything `decide` may know besides the state: who, when, and who is in the room at this moment.

    `now`: seconds since the Unix epoch. `present`: the devices of each identity that is in the room (presence is
    never part of the state). `engaged`: identities in a call that has not ended. `project_bans`: by identity.
    `new_id`: an id no one has used.
    """

    actor: Actor
    now: float
    present: Mapping[str, Collection[str]] = MappingProxyType({})
    engaged: Collection[str] = ()
    project_bans: Mapping[str, Ban] = MappingProxyType({})
    new_id: str = ""

    @property
    def by(self) -> str:
        return self.actor.identity


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """The declaration of one command.

    `capability`: None means that any participant may try, and the rule that decides stands in the handler.
    `target`: the field that names the identity acted on, whose rank must be lower than the actor's.
    `presence`: a user must be in the room to give it. `query`: it only reads.
    """

    name: str
    verb: str
    path: str
    aggregate: Aggregate
    result: Any
    capability: Capability | None = None
    target: str | None = None
    presence: bool = False
    query: bool = False


class Command(BaseModel):
    """Base of all commands: frozen, unknown fields refused, types strict. Raises `InvalidInput` when made wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    spec: ClassVar[CommandSpec]

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise _explain(type(self), error) from None

    @classmethod
    def parse(cls, data: object) -> Self:
        """A command that came from outside: JSON (bytes or text), or a mapping of its fields by name.

        Raises `InvalidInput` and nothing else, whatever it is given.
        """
        if isinstance(data, bytes | str):
            try:
                return cls.model_validate_json(data)
            except ValidationError as error:
                raise _explain(cls, error) from None
        if isinstance(data, Mapping) and all(isinstance(name, str) for name in data):
            return cls(**data)
        raise InvalidInput(f"{cls.__name__}: give its fields by name, got {type(data).__name__}")


COMMANDS: dict[str, type[Command]] = {}

C = TypeVar("C", bound=Command)


def command(
    verb: str,
    path: str,
    *,
    aggregate: Aggregate,
    result: Any = None,
    capability: Capability | None = None,
    target: str | None = None,
    presence: bool = False,
) -> Callable[[type[C]], type[C]]:
    """Enter a command class into the table."""

    def enter(cls: type[C]) -> type[C]:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        if name in COMMANDS:
            raise TypeError(f"command {name} is declared twice")
        cls.spec = CommandSpec(name, verb, path, aggregate, result, capability, target, presence, verb == "GET")
        COMMANDS[name] = cls
        return cls

    return enter


def _explain(cls: type[Command], error: ValidationError) -> InvalidInput:
    """What is wrong with which field. Names and number of the fields are somebody else's: what is said is bounded."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = [
        {
            "field": ".".join(str(part) for part in problem["loc"])[:_MOST_NAME] or "command",
            "problem": f"there is no such field; there are {', '.join(cls.model_fields)}"
            if problem["type"] == "extra_forbidden"
            else problem["msg"],
        }
        for problem in found[:_MOST_PROBLEMS]
    ]
    words = "; ".join(f"{problem['field']}: {problem['problem']}" for problem in problems)
    more = f"; and {len(found) - _MOST_PROBLEMS} more" if len(found) > _MOST_PROBLEMS else ""
    return InvalidInput(f"{cls.__name__}: {words}{more}", details={"problems": problems})
