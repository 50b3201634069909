"""A call of two over aiortc alone: what somebody writes who needs no engine, no permissions and no second try."""

from __future__ import annotations

import asyncio
import fractions
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from utd_core.media.frames import AudioFrame, VideoFrame

RATE = 48_000
FRAME = RATE // 50
VIDEO_CLOCK = 90_000

Frames = Callable[[int], AudioFrame | VideoFrame]
"""The frame of a number, from 0."""
Heard = Callable[[Any], None]


class Playing(MediaStreamTrack):
    """Frames at the pace of real time. `written`: when each was handed over."""

    def __init__(self, kind: str, frames: Frames, interval: float) -> None:
        super().__init__()
        self.kind = kind
        self.written: list[float] = []
        self._frames = frames
        self._interval = interval
        self._began = 0.0

    async def recv(self) -> Any:
        number = len(self.written)
        self._began = self._began or time.monotonic()
        await asyncio.sleep(max(0.0, self._began + number * self._interval - time.monotonic()))
        frame = self._frames(number)
        made: Any
        if isinstance(frame, AudioFrame):
            made = av.AudioFrame(format="s16", layout="mono", samples=FRAME)
            made.planes[0].update(frame.data)
            made.sample_rate, made.pts, made.time_base = RATE, number * FRAME, fractions.Fraction(1, RATE)
        else:
            made = av.VideoFrame(frame.width, frame.height, "yuv420p")
            _fill(made, frame.data)
            made.pts = round(number * self._interval * VIDEO_CLOCK)
            made.time_base = fractions.Fraction(1, VIDEO_CLOCK)
        self.written.append(time.monotonic())
        return made


class Call:
    """Two peer connections in this process; their descriptions go through queues as JSON."""

    def __init__(self) -> None:
        self._peers = [RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2)]
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self, tracks: tuple[Playing | None, Playing | None], heard: tuple[Heard, Heard]) -> None:
        """Offer, answer, and from then on hear."""
        to_callee: asyncio.Queue[str] = asyncio.Queue()
        to_caller: asyncio.Queue[str] = asyncio.Queue()
        for peer, track, hear in zip(self._peers, tracks, heard, strict=True):
            peer.on("track", lambda remote, hear=hear: self._tasks.append(asyncio.create_task(_drain(remote, hear))))
            if track is not None:
                peer.addTrack(track)
        await asyncio.gather(self._offer(to_callee, to_caller), self._answer(to_callee, to_caller))

    async def aclose(self) -> None:
        await asyncio.gather(*(peer.close() for peer in self._peers))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _offer(self, out: asyncio.Queue[str], back: asyncio.Queue[str]) -> None:
        caller, _ = self._peers
        await caller.setLocalDescription(await caller.createOffer())
        out.put_nowait(_said(caller))
        await caller.setRemoteDescription(RTCSessionDescription(**json.loads(await back.get())))

    async def _answer(self, came: asyncio.Queue[str], out: asyncio.Queue[str]) -> None:
        _, callee = self._peers
        await callee.setRemoteDescription(RTCSessionDescription(**json.loads(await came.get())))
        await callee.setLocalDescription(await callee.createAnswer())
        out.put_nowait(_said(callee))


def _said(peer: RTCPeerConnection) -> str:
    return json.dumps({"sdp": peer.localDescription.sdp, "type": peer.localDescription.type})


async def _drain(track: MediaStreamTrack, heard: Heard) -> None:
    with suppress(MediaStreamError):
        while True:
            heard(await track.recv())


def _fill(picture: av.VideoFrame, data: bytes) -> None:
    """I420, row by row where a plane's lines are longer than the picture's."""
    begin = 0
    for plane in picture.planes:
        size = plane.width * plane.height
        if plane.line_size == plane.width:
            plane.update(data[begin : begin + size])
        else:
            padding = bytes(plane.line_size - plane.width)
            rows = range(begin, begin + size, plane.width)
            plane.update(b"".join(data[row : row + plane.width] + padding for row in rows))
        begin += size
