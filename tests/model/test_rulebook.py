"""Every sentence of the rules has an example, and every example a sentence."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import tests.model

from .rulebook import PROVED, book, sentences

BOOK = book()
RULES = [(module, sentence) for module, sentences in BOOK.items() for sentence in sentences]
CONCEPTS = (
    "bans",
    "call",
    "channels",
    "grants",
    "identifiers",
    "request",
    "roles",
    "room",
    "seats",
    "session",
    "stage",
)

for _module in pkgutil.walk_packages(tests.model.__path__, "tests.model."):
    importlib.import_module(_module.name)


@pytest.mark.parametrize("module", CONCEPTS)
def test_every_concept_opens_with_its_rules(module: str) -> None:
    assert BOOK.get(module)


@pytest.mark.parametrize(("module", "sentence"), RULES)
def test_every_sentence_of_the_rules_has_an_example(module: str, sentence: str) -> None:
    assert PROVED.get(sentence), f"no test is marked with this rule of {module}: {sentence}"


def test_every_example_is_of_a_sentence_that_stands_in_the_rules() -> None:
    unknown = set(PROVED) - {sentence for _, sentence in RULES}
    assert not unknown, f"no module says this: {unknown}"


def test_an_example_is_a_test() -> None:
    for examples in PROVED.values():
        for example in examples:
            assert example.rpartition(".")[2].startswith("test_"), f"{example} is run by nobody"


def test_a_sentence_stands_in_one_place() -> None:
    said = [sentence for _, sentence in RULES]
    assert len(said) == len(set(said))


def test_sentences_are_read_as_they_are_written() -> None:
    text = "Title.\n\n- One rule. Another,\n  over two lines.\n- `third` one (e.g. this).\n\nProse. Not a rule.\n"
    assert sentences(text) == ["One rule.", "Another, over two lines.", "`third` one (e.g. this)."]
