"""What a browser says and hears."""

from __future__ import annotations

import statistics

from utd_core.cli.demo.devices import Voice
from utd_core.client import UTDSession
from utd_core.media.analysis import correlate
from utd_core.media.frames import BYTES_PER_SAMPLE, AudioFrame
from utd_core.media.pcm import unpack
from utd_core.media.sinks.level import measure

BEEPS = 3
SECOND = 48_000 * BYTES_PER_SAMPLE
PIECE, SLACK = SECOND // 5, SECOND // 2


def likeness(voice: Voice, heard: bytes) -> float:
    """Of the voice and what came out of a browser's loudspeaker: the median of its pieces of 0.2 s.

    A browser squeezes and stretches sound by some milliseconds when its jitter buffer changes its mind: words stay the
    same, and long stretches are no longer in step. The same voice backwards gives 0.35.
    """
    said = voice.pcm
    later = correlate(said, heard).lag * BYTES_PER_SAMPLE
    found = []
    for begin in range(0, len(said) - PIECE + 1, PIECE):
        piece = said[begin : begin + PIECE]
        if max(unpack(piece)) > 1_000:
            around = heard[max(0, begin + later - SLACK) : max(0, begin + later + PIECE + SLACK)]
            found.append(correlate(piece, around).peak)
    return statistics.median(found)


async def hear_beeps(session: UTDSession, identity: str) -> None:
    """Listen until several beeps of a browser's made-up microphone were heard, with silence between them."""
    beeps, was_loud = 0, False
    async with session.frames(identity) as frames:
        while beeps < BEEPS:
            frame = await anext(frames)
            assert isinstance(frame, AudioFrame)
            is_loud = measure(frame).peak > -30.0
            beeps += is_loud and not was_loud
            was_loud = is_loud
