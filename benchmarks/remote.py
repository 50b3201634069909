"""What the network costs a client: a seat taken and left again, over loopback and in the process.

The remote link talks with a server in a process of its own, on uvicorn with uvloop: commands over HTTP, events over a
WebSocket. Each answer is there when its events are. The baseline is the link to an engine in this process, which takes
turns with it. Media are left out: the mock's server is in one process, as no real one is.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from contextlib import AsyncExitStack
from statistics import median
from time import perf_counter

from utd_core.client import EngineLink
from utd_core.client.embedded import EmbeddedLink
from utd_core.client.remote import RemoteLink
from utd_core.engine import Engine
from utd_core.model.channels import room_channel
from utd_core.model.commands import JoinRoom, LeaveSeat, TakeSeat
from utd_core.model.stream_type import UTDStreamType

from . import Baseline, Result

ROUNDS = 12
EACH = 50
ROOM = "benchmark"


def run() -> list[Result]:
    return asyncio.run(_run())


async def _run() -> list[Result]:
    async with AsyncExitStack() as stack:
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks._remote_server", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        stack.push_async_callback(server.wait)
        assert server.stdin is not None
        assert server.stdout is not None
        stack.callback(server.stdin.close)
        base_url = (await server.stdout.readline()).decode().strip()
        engine = await stack.enter_async_context(Engine("mock"))
        embedded: EngineLink = EmbeddedLink(engine)
        remote: EngineLink = RemoteLink("bench", "key", base_url=base_url)
        for link in (embedded, remote):
            stack.push_async_callback(link.aclose)
            await link.authenticate("somebody", name="", device_id="one")
            await link.execute(JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=True))
        here, there = [], []
        for _ in range(1 + ROUNDS):
            gc.collect()
            here.append(await _trips(embedded, EACH))
            there.append(await _trips(remote, EACH))
    # The first round is the warm-up.
    baseline = Baseline("embedded", median(here[1:]))
    return [Result("take_seat + leave_seat, commands and their events", median(there[1:]), "ms", None, baseline)]


async def _trips(link: EngineLink, count: int) -> float:
    """Milliseconds for a round trip whose events were read, too."""
    following = await link.subscribe(room_channel(ROOM))
    begin = perf_counter()
    for _ in range(count):
        await link.execute(TakeSeat(room=ROOM, index=1))
        await link.execute(LeaveSeat(room=ROOM))
        assert following.events.get_nowait() is not None
        assert following.events.get_nowait() is not None
    took = perf_counter() - begin
    link.unsubscribe(following)
    return took / count * 1_000
