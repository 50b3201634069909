"""A participant in a process of its own: `python -m tests.webrtc_p2p.far_peer PORT TOKEN`.

It publishes a microphone and speaks the recorded voice into it over and over. When the other's track ends it prints how
much of the voice was in what it heard (0 to 1), and leaves.
"""

from __future__ import annotations

import asyncio
import sys

from utd_core.concurrency import TaskScope
from utd_core.media.backend import ConnectOptions, JoinTicket, PublishOptions
from utd_core.media.events import TrackSubscribed
from utd_core.media.frames import Frame
from utd_core.media.pump import pump_track
from utd_core.media.sources.file import FileAudioSource
from utd_core.testing.signalling import TcpSignalling
from utd_webrtc_p2p.backend import P2PBackend

from .voice import VOICE, likeness
from .world import MICROPHONE


async def main(port: int, token: str) -> None:
    scope = TaskScope("far peer")
    await scope.open()
    async with P2PBackend({"loopback": "always"}) as backend:
        options = ConnectOptions(signalling=await TcpSignalling.open(port))
        connection = await backend.connect(JoinTicket("", token, 0.0), options)
        track = await connection.publish(PublishOptions(MICROPHONE))
        source = await FileAudioSource.open(VOICE, loop=True)
        heard: list[Frame] = []
        async for event in connection.events:
            if isinstance(event, TrackSubscribed):
                reader = connection.read(event.track.id, capacity=2_000)
                scope.start(pump_track, source, track, backend.clock)
                async for frame in reader:
                    heard.append(frame)
                break
        sys.stdout.write(f"{await likeness(heard)}\n")
    await scope.aclose()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
