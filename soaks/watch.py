"""A soak's samples, and whether what they show grows.

The first quarter of them is warm-up. Of the rest, the median of the last third is compared with that of the first:
what is lost for good adds up between the two, and what comes and goes does not.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HOUR = 60.0
"""Minutes; the whole length of a soak."""
LEAST_SAMPLES = 8
"""With fewer there is nothing to compare."""

_SAY_EVERY = 10.0
_STATM = Path("/proc/self/statm")
_DESCRIPTORS = next((folder for folder in (Path("/proc/self/fd"), Path("/dev/fd")) if folder.is_dir()), None)


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that is watched. `may_grow`: by how much it may, from the first third to the last; `at_most`: what its
    mean may not exceed. With neither it is shown, and means nothing."""

    unit: str = ""
    may_grow: float | None = None
    at_most: float | None = None


PROCESS = {
    "memory": Figure("MB", may_grow=24.0),
    "blocks": Figure("thousand", may_grow=40.0),
    "threads": Figure(may_grow=4.0),
    "descriptors": Figure(may_grow=4.0),
    "tasks": Figure(may_grow=8.0),
    "processor": Figure("%"),
    "load": Figure(),
}
"""What every soak is watched for. `blocks`: objects that Python has allocated; a small one that is lost with each frame
shows there long before it shows in `memory`. `load`: of the whole machine, by which to judge what was late."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure at the end."""

    name: str
    unit: str
    first: float
    last: float
    mean: float
    limit: str
    ok: bool


class Watch:
    """Takes samples of a soak that lasts for `minutes`. `figures`: what it says of itself, beside `PROCESS`."""

    def __init__(self, minutes: float, figures: Mapping[str, Figure] | None = None) -> None:
        self.minutes = minutes
        self.figures = {**PROCESS, **(figures or {})}
        self.samples: list[dict[str, float]] = []
        self._began = self._said_at = time.monotonic()
        self._processor = (self._began, time.process_time())

    def rounds(self, of_an_hour: int) -> int:
        """How many rounds of what an hour has that many of: at least as many as there are samples needed."""
        return max(LEAST_SAMPLES, round(of_an_hour * self.minutes / HOUR))

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    @property
    def interval(self) -> float:
        """Seconds between two looks of a soak that goes by time: 120 of them in all, and not more than two a second."""
        return max(0.5, self.minutes * 60 / 120)

    def goes_on(self) -> bool:
        """The time is not over, or there are too few samples yet."""
        return self.seconds < self.minutes * 60 or len(self.samples) < LEAST_SAMPLES

    def look(self, **own: float) -> None:
        """Take a sample; call it on the loop. `own`: the soak's figures that are known now."""
        if unknown := set(own) - set(self.figures):
            raise KeyError(f"not among FIGURES: {', '.join(sorted(unknown))}")
        self.samples.append({**self._process(), **own})
        if time.monotonic() - self._said_at >= _SAY_EVERY:
            self._said_at = time.monotonic()
            shown = "  ".join(f"{name} {value:.4g}" for name, value in self.samples[-1].items())
            print(f"  {self.seconds / 60:5.1f} min  {shown}", file=sys.stderr, flush=True)

    def verdicts(self) -> list[Verdict]:
        """Each figure at the end. Raises `ValueError` where there are too few samples to say anything."""
        if len(self.samples) < LEAST_SAMPLES:
            raise ValueError(
                f"{len(self.samples)} samples tell nothing, {LEAST_SAMPLES} are needed: a longer run, please"
            )
        counted = self.samples[len(self.samples) // 4 :]
        found = []
        for name, figure in self.figures.items():
            values = [sample[name] for sample in counted if name in sample]
            if values or figure.at_most is not None or figure.may_grow is not None:
                found.append(judge(name, figure, values))
        return found

    def _process(self) -> dict[str, float]:
        now, used = time.monotonic(), time.process_time()
        (before, used_before), self._processor = self._processor, (now, used)
        sample = {
            "memory": resident() / 1e6,
            "blocks": sys.getallocatedblocks() / 1e3,
            "threads": float(threading.active_count()),
            "tasks": float(len(asyncio.all_tasks())),
            "load": os.getloadavg()[0],
            "processor": 100 * (used - used_before) / max(now - before, 1e-3),
        }
        if _DESCRIPTORS is not None:
            sample["descriptors"] = float(len(os.listdir(_DESCRIPTORS)))  # noqa: PTH208  # cheaper, and on the loop
        return sample


def judge(name: str, figure: Figure, values: Sequence[float]) -> Verdict:
    """What the samples of a figure, without those of the warm-up, come to; none where some had to be is bad."""
    if not values:
        return Verdict(name, figure.unit, 0.0, 0.0, 0.0, "was never seen", ok=False)
    third = max(1, len(values) // 3)
    first, last = statistics.median(values[:third]), statistics.median(values[-third:])
    mean = statistics.fmean(values)
    limits = []
    ok = True
    if figure.may_grow is not None:
        limits.append(f"grows by {figure.may_grow:g} at most")
        ok = last - first <= figure.may_grow
    if figure.at_most is not None:
        limits.append(f"{figure.at_most:g} at most")
        ok = ok and mean <= figure.at_most
    return Verdict(name, figure.unit, first, last, mean, ", ".join(limits), ok)


def resident() -> int:
    """Bytes of memory that this process has; the most it ever had, where the system does not tell."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


@dataclass(frozen=True, slots=True)
class Report:
    """How a soak went. `error`: what it failed with."""

    soak: str
    minutes: float
    samples: int = 0
    verdicts: tuple[Verdict, ...] = ()
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.error is None and all(verdict.ok for verdict in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}
