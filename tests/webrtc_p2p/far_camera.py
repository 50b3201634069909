"""A camera in a process of its own: `python -m tests.webrtc_p2p.far_camera PORT TOKEN`.

It shows a film of 640x480 at 30 frames/s whose frames have their numbers painted in, until the room ends.
"""

from __future__ import annotations

import asyncio
import sys

from utd_core.concurrency import TaskScope
from utd_core.media.backend import ConnectOptions, JoinTicket, PublishOptions
from utd_core.media.pump import pump_track
from utd_core.media.sources.pattern import TestPatternVideoSource
from utd_core.testing.signalling import TcpSignalling
from utd_webrtc_p2p.backend import P2PBackend

from .world import CAMERA


async def main(port: int, token: str) -> None:
    scope = TaskScope("far camera")
    await scope.open()
    async with P2PBackend({"loopback": "always"}) as backend:
        options = ConnectOptions(signalling=await TcpSignalling.open(port))
        connection = await backend.connect(JoinTicket("", token, 0.0), options)
        film = TestPatternVideoSource()
        track = await connection.publish(
            PublishOptions(CAMERA, width=film.width, height=film.height, framerate=film.framerate)
        )
        scope.start(pump_track, film, track, backend.clock)
        async for _ in connection.events:
            """Until the room is closed."""
    await scope.aclose()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
