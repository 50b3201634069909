"""Which tests prove which behaviour."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .proof import MARKER


@dataclass(frozen=True, slots=True)
class ContractTest:
    """One test function with one set of parameters; `run(harness=...)` runs it."""

    module: str
    function: Callable[..., Awaitable[None]]
    numbers: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.function.__name__

    async def run(self, harness: object) -> None:
        """Run it against an open harness; raises when the behaviour is not shown."""
        await self.function(harness=harness, **self.parameters)


def proofs_by_number() -> dict[str, list[ContractTest]]:
    """Every test of the suite, under each number that it proves."""
    found: dict[str, list[ContractTest]] = {}
    for test in _tests():
        for number in test.numbers:
            found.setdefault(number, []).append(test)
    return found


def _tests() -> list[ContractTest]:
    package = __package__ or ""
    folder = importlib.import_module(package).__path__
    names = sorted(module.name for module in pkgutil.iter_modules(folder) if module.name.startswith("test_"))
    found: list[ContractTest] = []
    for name in names:
        module = importlib.import_module(f"{package}.{name}")
        for attribute, function in vars(module).items():
            if attribute.startswith("test_") and function.__module__ == module.__name__:
                found += _cases(name, function)
    return found


def _cases(module: str, function: Callable[..., Awaitable[None]]) -> list[ContractTest]:
    marks = getattr(function, "pytestmark", [])
    numbers = next((mark.args for mark in marks if mark.name == MARKER), ())
    axes = [[{mark.args[0]: value} for value in mark.args[1]] for mark in marks if mark.name == "parametrize"]
    return [
        ContractTest(module, function, numbers, {name: value for axis in combination for name, value in axis.items()})
        for combination in itertools.product(*axes)
    ]
