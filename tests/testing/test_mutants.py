"""A test that cannot fail is a defect: every mutant is caught by the behaviours that it breaks."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from utd_core.media.backend import BackendSpec
from utd_core.testing.blocking import no_blocking_calls
from utd_core.testing.contract.behaviours import BEHAVIOURS
from utd_core.testing.contract.catalog import ContractTest, proofs_by_number
from utd_core.testing.contract.harness import Harness
from utd_core.testing.contract.target import plainly
from utd_core.testing.leaks import Snapshot, assert_no_leaks

from .mutants import MUTANTS
from .mutants.covers import BackendCover, covered

TESTS = proofs_by_number()
CATCHES = [(defect, number) for defect, (_, numbers) in MUTANTS.items() for number in numbers]


async def conforms(spec: BackendSpec, test: ContractTest) -> None:
    """One test on a backend, with the checks around it that the suite's fixtures make."""
    before = Snapshot.take()
    with no_blocking_calls():
        async with Harness(spec, plainly(spec)) as harness:
            await test.run(harness)
    await assert_no_leaks(before, grace=0.05)


def failures(spec: BackendSpec, number: str) -> list[BaseException]:
    """How the tests of a behaviour fail on a backend; empty when it conforms."""
    found: list[BaseException] = []
    for test in TESTS[number]:
        try:
            asyncio.run(conforms(spec, test))
        except Exception as error:  # noqa: BLE001  # any failure is a failure
            found.append(error)
    return found


@pytest.mark.parametrize("number", sorted(set(itertools.chain(*(numbers for _, numbers in MUTANTS.values())))))
def test_an_unbroken_cover_conforms(number: str) -> None:
    spec = covered(BackendCover)
    if BEHAVIOURS[number].missing(spec.capabilities, spec.faults) is None:
        assert failures(spec, number) == []


@pytest.mark.parametrize(("defect", "number"), CATCHES)
def test_a_broken_backend_is_caught(defect: str, number: str) -> None:
    spec, _ = MUTANTS[defect]
    found = failures(spec, number)
    assert found, f"{defect} conforms to {number}: {BEHAVIOURS[number].sentence}"
    # A mutant that trips over itself has not been caught.
    assert not [error for error in found if isinstance(error, AttributeError | NameError | TypeError)], found


def test_every_behaviour_can_fail() -> None:
    breakable = set(itertools.chain(*(numbers for _, numbers in MUTANTS.values())))
    assert [behaviour.number for behaviour in BEHAVIOURS if behaviour.number not in breakable] == []
