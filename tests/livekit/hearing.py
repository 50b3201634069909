"""People in sessions who hum, each at a pitch of his own, and whether that is heard."""

from __future__ import annotations

import asyncio
from functools import partial

from utd_core.client import UTDAudioRoomSession, UTDCallSession
from utd_core.media.frames import AudioFrame
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_core.testing.contract import signals

PATIENCE = 60.0
"""Seconds, on a machine that is busy."""
PITCHES = {"ann": 440.0, "bob": 660.0, "cat": 880.0, "dan": 990.0}
"""Hz."""


def hum(identity: str) -> partial[ToneAudioSource]:
    """Makes the microphone of somebody."""
    return partial(ToneAudioSource, PITCHES[identity])


async def hears(session: UTDAudioRoomSession | UTDCallSession, speaker: str) -> None:
    """Wait until the speaker's own hum is heard. Of `bob-2` it is bob's."""
    pitch = PITCHES[speaker.partition("-")[0]]
    heard: list[AudioFrame] = []
    async with asyncio.timeout(PATIENCE), session.frames(speaker) as frames:
        async for frame in frames:
            assert isinstance(frame, AudioFrame)
            heard = [*heard[-9:], frame]
            if signals.loud_seconds(heard) > 0 and signals.pitch_share(heard, pitch) > 0.6:
                return


class Gap:
    """The longest time without a frame of somebody's, in a session."""

    def __init__(self, session: UTDAudioRoomSession, speaker: str) -> None:
        self.longest = 0.0
        self._session = session
        self._speaker = speaker

    async def measure(self) -> None:
        now = asyncio.get_running_loop().time
        before = None
        async with self._session.frames(self._speaker) as frames:
            async for _ in frames:
                at = now()
                if before is not None:
                    self.longest = max(self.longest, at - before)
                before = at
