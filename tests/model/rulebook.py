"""The rules of the model are the sentences in the docstrings of its modules. A test names the ones it proves.

    @rule("One identity holds at most one seat.")
    def test_...

`test_rulebook.py` compares: a sentence without a test fails, and so does a test whose sentence no module says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from utd_core.model import bans, call, identifiers, request, roles, room, seats, session, stage

BOOK = {
    module.__name__.rpartition(".")[2]: module.__doc__ or ""
    for module in (identifiers, roles, bans, room, seats, stage, request, call, session)
}
PROVED: dict[str, list[str]] = {}

F = TypeVar("F", bound=Callable[..., object])


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
