"""An engine in a process that can be killed.

`python -m tests.crash.process` imports everything once. For each line it reads, {"store": path, "next": {lane: step}},
it forks a process that runs an engine on that file and gives the commands of every lane from those steps on. What it
writes: "started PID", then "ack LANE STEP ANSWER" for every command the engine has answered, and when the process is
dead "ended STATUS".
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import traceback

import utd_core.store.sqlite  # noqa: F401  # what takes long to import is imported before the fork
from utd_core.engine import Engine

from .load import LANES, Lane


def main() -> None:
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(run(order["store"], order["next"]))
            finally:
                # It runs until it is killed; if it ends by itself, that is a failure and must not go on up there.
                traceback.print_exc()
                os._exit(1)
        say("started", child)
        _, ended = os.waitpid(child, 0)
        say("ended", ended)


async def run(store: str, steps: dict[str, int]) -> None:
    async with Engine("mock", store=store) as engine, asyncio.TaskGroup() as group:
        for lane in LANES:
            group.create_task(follow(engine, lane, steps[lane.name]))


async def follow(engine: Engine, lane: Lane, step: int) -> None:
    await lane.prepare(engine)
    while True:
        answer = await lane.take(engine, step)
        say("ack", lane.name, step, answer)
        step += 1


def say(*words: object) -> None:
    """One line, in one write, so that a kill cannot cut it in two."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


if __name__ == "__main__":
    main()
