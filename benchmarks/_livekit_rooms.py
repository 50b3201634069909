"""Somebody who makes twenty rooms and is in all of them: `python -m benchmarks._livekit_rooms raw|ours URL KEY SECRET`.

Prints one JSON object: threads and memory (bytes) of this process meanwhile, and the memory that came with the rooms.
Each side imports only what it needs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

ROOMS = 20
SETTLING = 2.0
"""Seconds; some threads and sockets come when a connection is there already."""


async def in_raw_rooms(*server: str) -> dict[str, int]:
    from livekit import api, rtc

    rooms, before = [], _memory()
    async with api.LiveKitAPI(*server) as service:
        for name in _names("raw"):
            await service.room.create_room(api.CreateRoomRequest(name=name))
            token = api.AccessToken(*server[1:]).with_identity("me")
            grants = api.VideoGrants(room_join=True, room=name)
            rooms.append(rtc.Room())
            await rooms[-1].connect(server[0], token.with_grants(grants).to_jwt())
        figures = await _look(before)
        for room in rooms:
            await room.disconnect()
    return figures


async def in_our_rooms(*server: str) -> dict[str, int]:
    from utd_core.client import UTDRoom
    from utd_core.model.permission import Grant
    from utd_livekit.backend import LiveKitBackend

    rooms, before = [], _memory()
    async with LiveKitBackend(dict(zip(("url", "api_key", "api_secret"), server, strict=True))) as backend:
        for name in _names("ours"):
            await backend.control.create_room(name)
            ticket = await backend.control.issue_join(name, "me", grant=Grant())
            rooms.append(UTDRoom(backend))
            await rooms[-1].connect(ticket.url, ticket.token)
        figures = await _look(before)
        for room in rooms:
            await room.aclose()
    return figures


def _names(kind: str) -> list[str]:
    return [f"{kind}-of-{ROOMS}-{number}" for number in range(ROOMS)]


async def _look(before: int) -> dict[str, int]:
    """What this process has now."""
    await asyncio.sleep(SETTLING)
    memory = _memory()
    return {"threads": int(_status()["Threads"]), "memory": memory, "added": memory - before}


def _memory() -> int:
    return int(_status()["VmRSS"].split()[0]) * 1_024


def _status() -> dict[str, str]:
    return dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())


if __name__ == "__main__":
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    kind, *server = sys.argv[1:]
    print(json.dumps(asyncio.run((in_raw_rooms if kind == "raw" else in_our_rooms)(*server))), flush=True)
