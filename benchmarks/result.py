"""What a benchmark reports.

Result("seat commands", 143_000, "1/s", target=AtLeast(100_000), baseline=Baseline("dict update", 9_000_000))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A target for throughputs."""

    figure: float

    def met_by(self, figure: float) -> bool:
        return figure >= self.figure

    def __str__(self) -> str:
        return f"≥ {show(self.figure)}"


@dataclass(frozen=True, slots=True)
class AtMost:
    """A target for durations, sizes and ratios."""

    figure: float

    def met_by(self, figure: float) -> bool:
        return figure <= self.figure

    def __str__(self) -> str:
        return f"≤ {show(self.figure)}"


@dataclass(frozen=True, slots=True)
class Baseline:
    """The same measure of something everybody knows, in the unit of the result that it stands beside."""

    name: str
    figure: float


@dataclass(frozen=True, slots=True)
class Result:
    """One figure. `unit` is an SI symbol ("ms", "1/s", "KB"), or "x" for a ratio."""

    name: str
    figure: float
    unit: str
    target: AtLeast | AtMost | None = None
    baseline: Baseline | None = None

    @property
    def ratio(self) -> float | None:
        """The figure over its baseline's; None without a baseline, or where that is zero."""
        return None if self.baseline is None or not self.baseline.figure else self.figure / self.baseline.figure

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.target.met_by(self.figure)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "figure": self.figure,
            "unit": self.unit,
            "target": None if self.target is None else str(self.target),
            "met": self.met,
            "baseline": None if self.baseline is None else {"name": self.baseline.name, "figure": self.baseline.figure},
            "ratio": self.ratio,
        }


def show(figure: float) -> str:
    """Three significant digits are more than any of these figures can promise."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"
