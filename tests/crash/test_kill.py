"""`kill -9` of an engine under load, twenty times over on one file.

Whatever was acknowledged is there afterwards, and there once, though the next process repeats (under the same
idempotency key) whatever was not; and no channel has a hole.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from utd_core.model.channels import room_channel
from utd_core.model.codec import load
from utd_core.model.room import Room
from utd_core.store import Envelope, Store, open_store

from .load import LANES

KILLS = 20
PATIENCE = 30.0
"""Seconds in which a process must have said something."""


class Victims:
    """The processes, one after the other, and what they said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.strip())
        self._lines.put("gone")

    def start(self, store: Path, steps: dict[str, int]) -> int:
        """Start one; its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"store": str(store), "next": steps}) + "\n")
        self._process.stdin.flush()
        word, pid = self.hear().split()
        assert word == "started"
        return int(pid)

    def hear(self) -> str:
        return self._lines.get(timeout=PATIENCE)

    def acknowledged(self) -> Iterator[tuple[str, int, str]]:
        """What the one that was killed had said; returns when it is dead."""
        while (line := self.hear()).startswith("ack"):
            yield parsed(line)
        assert line == f"ended {int(signal.SIGKILL)}", f"it was to be killed, but {line}"


@contextmanager
def victims() -> Iterator[Victims]:
    command = [sys.executable, "-m", "tests.crash.process"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Victims(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def test_no_acknowledged_command_is_lost_and_none_is_applied_twice(tmp_path: Path) -> None:
    random = Random(20)
    path = tmp_path / "engine.db"
    answers: dict[tuple[str, int], str] = {}
    steps = {lane.name: 0 for lane in LANES}
    with victims() as processes:
        for kill in range(KILLS):
            pid = processes.start(path, steps)
            # Now and then it dies while it opens the file or recovers, mostly in the middle of its work.
            lines = 0 if kill % 5 == 0 else random.choice([1, 50, 200, 500])
            heard = [parsed(processes.hear()) for _ in range(lines)]
            threading.Event().wait(random.uniform(0.0, 0.1))
            os.kill(pid, signal.SIGKILL)
            for lane, step, answer in [*heard, *processes.acknowledged()]:
                assert step == steps[lane], "each lane waits for its answer"
                assert answers.setdefault((lane, step), answer) == answer
                steps[lane] = step + 1
            asyncio.run(check(path, steps, answers))
    assert sum(steps.values()) > 1_000, "it was under load"


def parsed(line: str) -> tuple[str, int, str]:
    assert line.startswith("ack"), f"an acknowledgement was expected, not: {line}"
    _, lane, step, answer = line.split(" ", 3)
    return lane, int(step), answer


async def check(path: Path, steps: dict[str, int], answers: dict[tuple[str, int], str]) -> None:
    """The file, between two lives: everything acknowledged, each once, and at most one more step of each lane."""
    async with open_store(path) as store:
        histories = {channel: await whole_history(store, channel) for channel in {lane.channel for lane in LANES}}
        for lane in LANES:
            applied = lane.steps(histories[lane.channel])
            assert applied == list(range(len(applied))), f"{lane.name}: each step once, in order"
            assert 0 <= len(applied) - steps[lane.name] <= 1, f"{lane.name}: nothing lost, nothing invented"
        for row in await store.states("room"):
            room = load(Room, row.payload)
            changes = [envelope.event.type for envelope in histories[room_channel(row.key)]].count("metadata_changed")
            assert room.metadata_revision == changes, "the state is what its events say"
        for (name, _), answer in answers.items():
            if name.startswith("call"):
                assert await store.load("call", answer) is not None


async def whole_history(store: Store, channel: str) -> Sequence[Envelope]:
    head = await store.head(channel)
    history = await store.history(channel, head.epoch, 0, head.offset + 1)
    assert history is not None
    assert [envelope.offset for envelope in history] == list(range(1, head.offset + 1)), "no hole"
    return history
