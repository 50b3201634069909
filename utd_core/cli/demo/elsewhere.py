"""A performer's own process: `python -m utd_core.cli.demo.elsewhere`. What it is told and says: see `far`.

It ends when its standard input does, whatever it is doing then.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from ...client import UTDStreamType
from ...concurrency import SystemClock, TaskScope
from ...errors import UTDStreamException
from ...hooks import default_manager
from ...media.sinks.level import Level
from .board import Board
from .devices import Meter, Voice
from .far import Role
from .houses import client_at
from .listener import Listener, Part
from .pauses import short_pauses
from .performers import NearPerformer
from .processes import Address

SHOWING = 0.1
"""Seconds between two looks at what has changed."""

Order = dict[str, Any]


class Elsewhere:
    """Obeys orders, and shows what it does."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._clock = SystemClock()
        self._performer: NearPerformer
        self._listener: Listener | None = None
        self._shown = (0, 0, 0)
        """How many of what it said, heard and saw are told already."""

    async def obey(self, orders: AsyncIterator[Order]) -> None:
        """Sign in, and do what is ordered, until there are no more orders."""
        role, clock = self._role, self._clock
        async with AsyncExitStack() as exits:
            backend = await default_manager().make_backend(role.backend, role.settings, clock)
            exits.push_async_callback(backend.aclose)
            address = Address(role.base_url, role.app_id, role.app_key)
            self._performer = NearPerformer(
                role.identity,
                client_at(address, backend),
                clock,
                await Voice.load(Path(role.voice)),
                Board(role.backend, (), lambda scene, step: None),
                has_camera=role.has_camera,
            )
            await exits.enter_async_context(self._performer.client)
            exits.push_async_callback(self._performer.leave)
            scope = TaskScope("what is shown")
            exits.push_async_callback(scope.aclose)
            await scope.open()
            _say(answer=0, epoch=clock.now() - clock.monotonic())
            scope.start(self._keep_showing)
            number = 0
            async for order in orders:
                number += 1
                failed = await _outcome(self._do(order["do"], order["with"]))
                self._show()
                _say(answer=number, failed=failed)

    async def _do(self, order: str, given: dict[str, Any]) -> None:
        performer = self._performer
        if "kind" in given:
            given["kind"] = UTDStreamType(given["kind"])
        match order:
            case "prepare":
                self._listener, self._shown = None, (0, 0, 0)
                if given:
                    self._listener = performer.cast_as(Part(**given["part"]), Path(given["path"]), given["origin"])
                await performer.prepare()
            case "leave":
                await performer.leave()
            case "call":
                await performer.call(**given)
            case "ring":
                await performer.ring(**given)
            case "answer":
                await performer.answer()
            case "hang_up":
                await performer.hang_up()
            case "listen":
                await performer.listen()
            case "has_opened":
                await performer.has_opened()
            case "speak":
                await performer.speak()
            case "has_spoken":
                await performer.has_spoken()

    async def _keep_showing(self) -> None:
        while True:
            await self._clock.sleep(SHOWING)
            self._show()

    def _show(self) -> None:
        """Tell what has changed."""
        said, heard, saw = self._shown
        line: dict[str, Any] = {}
        if (microphone := self._performer.microphone) is not None:
            loudness = microphone.loudness[said:]
            said += len(loudness)
            line["said"] = {
                **_gauge(microphone.meter),
                "opened_at": microphone.opened_at,
                "spoken_at": microphone.spoken_at,
                "worst_lateness": microphone.worst_lateness,
                "loudness": [(each.at, each.dbfs) for each in loudness],
            }
        if (listener := self._listener) is not None:
            received, pictures = listener.received[heard:], list(listener.pictures.items())[saw:]
            heard, saw = heard + len(received), saw + len(pictures)
            line["heard"] = {
                **_gauge(listener.meter),
                "first_at": listener.first_at,
                "received": [(each.start_us, each.duration_us) for each in received],
                "pictures": pictures,
                "failure": None if listener.failure is None else listener.failure.message,
            }
        self._shown = said, heard, saw
        if line:
            _say(**line)


def _gauge(meter: Meter) -> dict[str, Any]:
    level: Level = meter.level
    return {"level": (level.rms, level.peak), "is_speaking": meter.is_speaking}


def _say(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _outcome(work: Awaitable[None]) -> dict[str, Any] | None:
    """What to tell of a failure; None where there is none."""
    try:
        await work
    except UTDStreamException as error:
        return {"message": error.message, "status_code": error.status_code, "code": error.code}
    return None


async def main() -> None:
    """Be who the first line says, until there are no more lines."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read(end: Callable[[], object]) -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(end)

    async def orders() -> AsyncIterator[Order]:
        while True:
            yield json.loads(await lines.get())

    async def play() -> None:
        role = Role(**json.loads(await lines.get()))
        failed = await _outcome(Elsewhere(role).obey(orders()))
        _say(answer=0, failed=failed)

    work = asyncio.current_task()
    assert work is not None, "it runs"
    # A thread that nobody waits for: reading must not keep a process from ending that has failed.
    threading.Thread(target=read, args=(work.cancel,), daemon=True, name="orders").start()
    try:
        await play()
    except asyncio.CancelledError:
        # That was the end of the orders.
        return


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    with short_pauses():
        asyncio.run(main())
