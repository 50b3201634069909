"""Every sentence of the rules has an example, and every example a sentence."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import tests.model.rules

from .rulebook import BOOK, PROVED, sentences

RULES = {sentence: module for module, text in BOOK.items() for sentence in sentences(text)}

for _module in pkgutil.iter_modules(tests.model.rules.__path__, "tests.model.rules."):
    importlib.import_module(_module.name)


@pytest.mark.parametrize("module", BOOK)
def test_every_module_opens_with_rules(module: str) -> None:
    assert sentences(BOOK[module])


@pytest.mark.parametrize("sentence", RULES)
def test_every_sentence_of_the_rules_has_an_example(sentence: str) -> None:
    assert PROVED.get(sentence), f"no test is marked with this rule of {RULES[sentence]}.py: {sentence}"


def test_every_example_is_of_a_sentence_that_stands_in_the_rules() -> None:
    assert set(PROVED) <= set(RULES), "these sentences stand in no module"


def test_sentences_are_read_as_they_are_written() -> None:
    text = "Title.\n\n- One rule. Another,\n  over two lines.\n- `third` one (e.g. this).\n\nProse. Not a rule.\n"
    assert sentences(text) == ["One rule.", "Another, over two lines.", "`third` one (e.g. this)."]
