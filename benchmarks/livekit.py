"""LiveKit with engine and client beside its SDK alone: how soon one is in, seated and heard, and what media costs.

Both run in this process, in turn, on one real server on loopback, with the same frames at the same pace. Rooms in a
process are measured in processes of their own. The raw SDK has a ready ticket with every permission.
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from utd_livekit.server.local import LocalServer

from . import AtMost, Baseline, Result
from ._livekit_sides import Ours, Raw, Side, film

JOINS, FOUNDINGS, SEATS, COMMANDS, ROUNDS = 60, 20, 20, 200, 5
QUIET = 0.3
"""Seconds between two rounds: the server and the SDK collect changes that follow each other sooner."""
SETTLING, MEASURED = 2.0, 5.0
"""Seconds of media before, and while its cost is measured."""
RAW = "LiveKit's SDK alone"

Figures = tuple[list[float], list[float]]
"""Of the raw SDK, and ours."""
Measure = Callable[[], Awaitable[float]]


def run() -> list[Result]:
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    with LocalServer() as server:
        return [*asyncio.run(_measure(server)), *_rooms(server)]


async def _measure(server: LocalServer) -> list[Result]:
    pictures = await film()
    async with Raw(server) as raw, Ours(server) as ours:
        await raw.open()
        await ours.open()
        join = await _in_turn(JOINS, raw.join, ours.join)
        found = await _in_turn(FOUNDINGS, raw.found, ours.found)
        speak = await _in_turn(SEATS, raw.speak, ours.speak)
        allow = await _in_turn(COMMANDS, raw.allow, ours.allow, pause=0.0)
        voice = await _in_turn(ROUNDS, _cost_of(raw, raw.sounding, 50), _cost_of(ours, ours.sounding, 50))
        video = await _in_turn(
            ROUNDS,
            _cost_of(raw, lambda: raw.filming(pictures), 30),
            _cost_of(ours, lambda: ours.filming(pictures), 30),
        )
    return [
        *_compare("join to connected", "ms", 1e3, join, statistics.median, AtMost(1.15)),
        *_compare("a host's join, which makes the room", "ms", 1e3, found, statistics.median),
        *_compare("taking a seat to its first sound at a listener", "ms", 1e3, speak, statistics.median, AtMost(1.2)),
        *_compare("seat command to its permission at LiveKit, p50", "ms", 1e3, allow, statistics.median),
        *_compare("seat command to its permission at LiveKit, p99", "ms", 1e3, allow, _p99),
        *_compare("CPU per minute of a voice, sent and read", "s", 60, voice, min, AtMost(1.05)),
        *_compare("CPU per minute of 720p30, sent and read", "s", 60, video, min, AtMost(1.05)),
    ]


def _rooms(server: LocalServer) -> list[Result]:
    raw, ours = (_in_rooms(kind, server) for kind in ("raw", "ours"))
    threads, added, memory = (([raw[what]], [ours[what]]) for what in ("threads", "added", "memory"))
    return [
        *_compare("threads of a process in 20 rooms", "", 1, threads, max, AtMost(1.1)),
        *_compare("memory that 20 rooms add", "MB", 1e-6, added, max, AtMost(1.1)),
        *_compare("memory of that process, imports and all", "MB", 1e-6, memory, max),
    ]


def _in_rooms(kind: str, server: LocalServer) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks._livekit_rooms", kind, server.url, server.api_key, server.api_secret]
    # Not checked: the SDK alone may abort the process at its very end.
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    figures: dict[str, float] = json.loads(ran.stdout)
    return figures


def _compare(
    what: str,
    unit: str,
    scale: float,
    figures: Figures,
    one_of: Callable[[Sequence[float]], float],
    target: AtMost | None = None,
) -> list[Result]:
    """The figure beside that of the SDK alone, and how many times it is that."""
    raw, ours = (scale * one_of(each) for each in figures)
    return [
        Result(what, ours, unit, None, Baseline(RAW, raw)),
        Result(f"  as a multiple of {RAW}", ours / raw, "x", target),
    ]


def _p99(figures: Sequence[float]) -> float:
    return statistics.quantiles(figures, n=100)[98]


async def _in_turn(rounds: int, raw: Measure, ours: Measure, *, pause: float = QUIET) -> Figures:
    """Each as often as the other, one after the other, after a round that does not count."""
    figures: Figures = ([], [])
    for _ in range(rounds + 1):
        for measure, measured in zip((raw, ours), figures, strict=True):
            measured.append(await measure())
            await asyncio.sleep(pause)
    return figures[0][1:], figures[1][1:]


def _cost_of(side: Side, media: Callable[[], AbstractAsyncContextManager[None]], rate: int) -> Measure:
    """CPU seconds of this process per second of what is read meanwhile, of which `rate` frames are one."""

    async def cost() -> float:
        async with media():
            await asyncio.sleep(SETTLING)
            seen, cpu = side.seen, time.process_time()
            await asyncio.sleep(MEASURED)
            return (time.process_time() - cpu) * rate / max(1, side.seen - seen)

    return cost
