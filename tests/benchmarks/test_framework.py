"""`python -m benchmarks` reports what the benchmarks say, and fails when one of them does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import AtLeast, AtMost, Baseline, Result
from benchmarks.result import show

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parents[2]


def test_a_target_is_met_on_its_own_side() -> None:
    assert Result("throughput", 100.0, "1/s", AtLeast(100.0)).met is True
    assert Result("throughput", 99.0, "1/s", AtLeast(100.0)).met is False
    assert Result("duration", 100.0, "ms", AtMost(100.0)).met is True
    assert Result("duration", 101.0, "ms", AtMost(100.0)).met is False
    assert Result("no promise", 1.0, "ms").met is None


def test_the_ratio_is_to_the_baseline() -> None:
    assert Result("import", 30.0, "ms", baseline=Baseline("another", 60.0)).ratio == 0.5
    assert Result("import", 30.0, "ms", baseline=Baseline("nothing", 0.0)).ratio is None
    assert Result("import", 30.0, "ms").ratio is None


@pytest.mark.parametrize(
    ("figure", "shown"), [(0.01234, "0.0123"), (12.34, "12.3"), (123.4, "123"), (1_234_567.0, "1,234,567")]
)
def test_figures_are_shown_to_three_digits(figure: float, shown: str) -> None:
    assert show(figure) == shown


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_import_benchmark_meets_its_targets() -> None:
    ran = benchmarks("import_time", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (outcome,) = json.loads(ran.stdout.splitlines()[-1])["benchmarks"]
    assert outcome["benchmark"] == "import_time"
    assert [result["met"] for result in outcome["results"][:2]] == [True, True]


def test_an_unknown_benchmark_is_refused_by_name() -> None:
    ran = benchmarks("no_such_benchmark")
    assert ran.returncode == 2
    assert "no_such_benchmark" in ran.stderr
    assert "import_time" in ran.stderr
