"""Everybody loses the connection at once, and comes back at once.

UTD_STORM_SOCKETS=5000 is the full storm; a smaller one blows in every run.
"""

from __future__ import annotations

import asyncio
import logging
import os
from time import monotonic

from utd_core.model.commands import LeaveSeat, TakeSeat
from utd_core.server.pusher import CloseCode
from utd_core.testing.wait import eventually

from .live import PROJECT, ROOM, LiveServer
from .raw_client import RawClient, many_descriptors

SOCKETS = int(os.environ.get("UTD_STORM_SOCKETS", "300"))
MISSED = 20

log = logging.getLogger(__name__)


async def test_everybody_comes_back_and_has_missed_nothing() -> None:
    count = min(SOCKETS, (many_descriptors(2 * SOCKETS + 200) - 200) // 2)
    assert count == SOCKETS, "this machine lets a process open too few descriptors"
    async with LiveServer(close_timeout=30.0) as live:
        clients = [await RawClient.connect(live) for _ in range(count)]
        places = {(answer["epoch"], answer["offset"]) for answer in [await client.follow() for client in clients]}
        ((epoch, offset),) = places
        for socket in list(live.mount._hubs[PROJECT.app_id].sockets.values()):
            socket.close(CloseCode.RECONNECT, "all of you")
        assert {await client.closed() for client in clients} == {CloseCode.RECONNECT}
        await live.empty()

        began = monotonic()
        storm = asyncio.gather(*(come_back(live, epoch, offset) for _ in range(count)))
        for _ in range(MISSED // 2):
            await live.do("host", TakeSeat(room=ROOM, index=1))
            await live.do("host", LeaveSeat(room=ROOM))
        clients = await storm
        log.info("%d sockets are back after %.1f s, and have missed nothing", count, monotonic() - began)
        assert live.connections == count
        for client in clients:
            client.hang_up()
        await eventually(lambda: not live.connections, 60)


async def come_back(live: LiveServer, epoch: str, offset: int) -> RawClient:
    """A client that has every event from the place on, each once."""
    client = await RawClient.connect(live)
    assert (await client.follow((epoch, offset)))["recovered"] is True
    for missed in range(offset + 1, offset + MISSED + 1):
        assert (await client.hear())["offset"] == missed
    return client
