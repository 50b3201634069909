"""`docs/reference/contract.md`, the registry and the tests say the same."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import Fault
from utd_core.testing.contract.behaviours import BEHAVIOURS, Part
from utd_core.testing.contract.catalog import proofs_by_number
from utd_core.testing.contract.reference import page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "contract.md"
HOW_TO_WRITE = "run python -m utd_core.testing.contract.reference docs/reference/contract.md"


def test_the_page_is_what_the_registry_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), HOW_TO_WRITE


def test_every_number_is_documented_once() -> None:
    documented = re.findall(r"^\| ([MCS]\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(documented) == sorted(behaviour.number for behaviour in BEHAVIOURS)


def test_every_number_is_proven_by_a_test() -> None:
    proofs = proofs_by_number()
    assert [behaviour.number for behaviour in BEHAVIOURS if behaviour.number not in proofs] == []


def test_numbers_count_up_within_their_part() -> None:
    for part in Part:
        numbers = [int(one.number[1:]) for section in BEHAVIOURS.of(part).values() for one in section]
        assert numbers == sorted(set(numbers))


def test_every_sentence_is_one() -> None:
    sentences = [behaviour.sentence for behaviour in BEHAVIOURS]
    assert len(set(sentences)) == len(sentences)
    for sentence in sentences:
        assert sentence[0].isupper() or sentence[0] == "`"
        assert sentence.endswith(".")


def test_every_capability_and_every_fault_is_worth_a_behaviour() -> None:
    needed = {need for behaviour in BEHAVIOURS for need in behaviour.needs}
    # A size and a set of rates are tested by their value (C73, C51), not by being there. What a webhook looks like is
    # the media server's business, so a plugin that takes them tests that itself.
    untold = {"max_data_bytes", "sample_rates", "webhooks"}
    assert {field.name for field in fields(Capabilities)} - needed == untold
    assert {fault for behaviour in BEHAVIOURS for fault in behaviour.faults} == set(Fault)


def test_a_lack_is_told_in_the_words_of_the_declaration() -> None:
    deaf = BEHAVIOURS["C20"].missing(Capabilities(audio=False), frozenset())
    assert deaf is not None
    assert (deaf.capability, deaf.sentence) == ("audio", "Carries audio tracks.")
    alone = BEHAVIOURS["C7"].missing(Capabilities(max_participants=2), frozenset())
    assert alone is not None
    assert alone.capability == "max_participants"
    faultless = BEHAVIOURS["C93"].missing(Capabilities(), frozenset())
    assert faultless is not None
    assert faultless.capability == "fault:jitter"
    assert BEHAVIOURS["C93"].missing(Capabilities(), frozenset({Fault.JITTER})) is None
