"""Long runs that watch what must not grow: memory, threads, descriptors, tasks, and what each soak has beside them.

    python -m soaks                          all of them, an hour each, with a report of each as a table
    python -m soaks webrtc_p2p --minutes 5   some of them, shorter
    python -m soaks --json                   the last line of stdout is one JSON object

A soak is a module of this package: the first line of its docstring says what it goes through, `FIGURES` are its own
figures with their limits, and `async def soak(watch: Watch) -> None` runs for `watch.minutes`, or does what the hour
has `watch.rounds(n)` of, and takes a sample with `watch.look()` every now and then. Each runs in a process of its own.
The exit status is 1 when something grows, or a soak fails.
"""

from __future__ import annotations

from .watch import Figure, Watch

__all__ = ["Figure", "Watch"]
