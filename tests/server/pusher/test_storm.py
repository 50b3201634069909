"""Everybody loses the connection at once, and comes back at once."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from statistics import quantiles

import pytest

from benchmarks.storm import storm
from utd_core.model.commands import LeaveSeat, TakeSeat
from utd_core.server.pusher import CloseCode
from utd_core.testing.wait import eventually

from .live import PROJECT, ROOM, LiveServer
from .raw_client import RawClient, many_descriptors

SOCKETS = 300
MISSED = 20
MANY = 5_000

log = logging.getLogger(__name__)


@pytest.mark.alone
async def test_thousands_whose_network_was_lost_come_back_and_the_server_has_time_for_others(tmp_path: Path) -> None:
    """`utd serve` in a process of its own, with its store in a file."""
    found = await storm(tmp_path, MANY)
    log.info("%s", replace(found, health=[max(found.health)], health_anew=[max(found.health_anew)]))
    assert (found.whole, found.honest) == (MANY, 0)
    # The very slowest answers may be those of a machine that was busy elsewhere.
    assert quantiles(found.health, n=20)[-1] < 1.0
    assert found.peak < found.before * 1.1


async def test_everybody_whom_the_server_sent_away_comes_back_and_has_missed_nothing() -> None:
    assert many_descriptors(2 * SOCKETS + 200) >= 2 * SOCKETS + 200
    async with LiveServer(close_timeout=30.0) as live:
        clients = [await RawClient.connect(live) for _ in range(SOCKETS)]
        places = {(answer["epoch"], answer["offset"]) for answer in [await client.follow() for client in clients]}
        ((epoch, offset),) = places
        for socket in list(live.mount._hubs[PROJECT.app_id].sockets.values()):
            socket.close(CloseCode.RECONNECT, "all of you")
        assert {await client.closed() for client in clients} == {CloseCode.RECONNECT}
        await live.empty()

        returning = asyncio.gather(*(come_back(live, epoch, offset) for _ in range(SOCKETS)))
        for _ in range(MISSED // 2):
            await live.do("host", TakeSeat(room=ROOM, index=1))
            await live.do("host", LeaveSeat(room=ROOM))
        clients = await returning
        assert live.connections == SOCKETS
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
