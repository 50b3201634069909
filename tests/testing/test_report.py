"""What counts as passed, skipped and failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from utd_core.testing.contract import run
from utd_core.testing.contract.report import Conformance, Failure

SUITE = """
import pytest

from utd_core.testing.contract.proof import proves

{body}
"""


def conformance(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Conformance:
    """Run a suite of our own in the place of the contract suite."""
    (folder / "conftest.py").write_text('pytest_plugins = ["utd_core.testing.contract.conftest"]\n')
    # A module name of its own: they are all imported into this process.
    (folder / f"test_{folder.name}.py").write_text(SUITE.format(body=body))
    monkeypatch.setattr(run, "SUITE", folder)
    return run.run_contract("mock")


def test_a_skip_that_nothing_declared_excuses_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = '@proves("C1")\nasync def test_lazy(harness):\n    pytest.skip("not today")\n'
    found = conformance(tmp_path, monkeypatch, body)
    assert not found.ok
    assert [failure.number for failure in found.failed] == ["C1"]
    assert "nothing that the backend declares excuses it" in found.failed[0].message


def test_an_expected_failure_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = '@pytest.mark.xfail\n@proves("C1")\nasync def test_lazy(harness):\n    assert False\n'
    assert [failure.number for failure in conformance(tmp_path, monkeypatch, body).failed] == ["C1"]


def test_a_suite_that_cannot_be_collected_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = conformance(tmp_path, monkeypatch, "import no_such_module\n")
    assert not found.ok
    assert "no_such_module" in found.failed[0].message


def test_one_failed_test_of_a_number_fails_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        '@proves("C1")\nasync def test_good(harness):\n    pass\n\n'
        '@proves("C1", "C2")\nasync def test_bad(harness):\n    raise AssertionError("first line\\nsecond line")\n'
    )
    found = conformance(tmp_path, monkeypatch, body)
    assert found.passed == []
    assert found.failed == [Failure(number, "test_bad", "AssertionError: first line") for number in ("C1", "C2")]


def test_what_is_left_behind_fails_a_test_that_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        "import asyncio\n\n"
        '@proves("C1")\nasync def test_leaky(harness):\n    asyncio.create_task(asyncio.sleep(1_000), name="stray")\n'
    )
    (failure,) = conformance(tmp_path, monkeypatch, body).failed
    assert failure.message.startswith("AssertionError: left behind:")


def test_a_test_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        "import asyncio\nfrom utd_core.testing.contract.harness import Harness\n\n"
        '@proves("C1")\nasync def test_stuck(harness):\n    await asyncio.Event().wait()\n'
    )
    monkeypatch.setattr("utd_core.testing.contract.patience.VIRTUAL_WATCHDOG", 0.05)
    (failure,) = conformance(tmp_path, monkeypatch, body).failed
    assert "TimeoutError" in failure.message


def test_nothing_passed_is_not_success() -> None:
    assert not Conformance("mock").ok
    assert Conformance("mock", passed=["C1"]).ok
    assert not Conformance("mock", passed=["C1"], failed=[Failure("C2", "test", "why")]).ok
