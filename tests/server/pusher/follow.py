"""What tests of the engine's channels do and hear."""

from __future__ import annotations

import json

from utd_core.model.commands import (
    LeaveSeat,
    TakeSeat,
)

from .asgi_client import AsgiClient
from .world import ROOM, World

SUCCEEDED = "pusher_internal:subscription_succeeded"
REFUSED = "pusher:subscription_error"


async def refused(client: AsgiClient, channel: str) -> str:
    message = await client.hear(REFUSED)
    assert message["channel"] == channel
    return str(json.loads(message["data"])["code"])


async def sit(world: World, times: int = 1) -> None:
    """Two events each time."""
    for _ in range(times):
        await world.do("host", TakeSeat(room=ROOM, index=2))
        await world.do("host", LeaveSeat(room=ROOM))


async def offsets(client: AsgiClient, count: int) -> list[int]:
    return [(await client.hear())["offset"] for _ in range(count)]
