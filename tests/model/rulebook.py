"""The rules of the model are the sentences in the docstrings of its modules. A test names the ones it proves.

    @rule("One identity holds at most one seat.")
    def test_...

The sentences are those of the lists; what stands around them explains. `test_rulebook.py` compares: a sentence without
a test fails, and so does a test whose sentence no module says.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from typing import TypeVar

import utd_core.model

PROVED: dict[str, list[str]] = {}

F = TypeVar("F", bound=Callable[..., object])


def book() -> dict[str, list[str]]:
    """The sentences of every module of the model that has some."""
    found = {}
    for module in pkgutil.walk_packages(utd_core.model.__path__, "utd_core.model."):
        rules = sentences(importlib.import_module(module.name).__doc__ or "")
        if rules:
            found[module.name.removeprefix("utd_core.model.")] = rules
    return found


def rule(*sentences: str) -> Callable[[F], F]:
    """This test is an example of these sentences."""

    def enter(test: F) -> F:
        for sentence in sentences:
            PROVED.setdefault(sentence, []).append(f"{test.__module__}.{test.__qualname__}")
        return test

    return enter


def sentences(docstring: str) -> list[str]:
    """The sentences of the list in a docstring, one after the other."""
    bullets = re.findall(r"^- (.*?)(?=^- |^\S|\Z)", docstring, re.MULTILINE | re.DOTALL)
    texts = [" ".join(bullet.split("\n\n")[0].split()) for bullet in bullets]
    return [sentence for text in texts for sentence in re.split(r"(?<=\.) (?=[A-Z`$*])", text)]
