"""The two sides of the LiveKit benchmark, which do the same: the raw SDK, and engine with client."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from itertools import count
from typing import Any

from utd_core.client import RemoteParticipant, UTDAudioRoomSession
from utd_core.concurrency import Closeable
from utd_core.engine import Engine
from utd_core.engine.instruments import Work
from utd_core.media.frames import AudioFrame, VideoFrame
from utd_core.media.sources.base import AudioSourceBase, VideoSourceBase
from utd_core.media.sources.pattern import TestPatternVideoSource
from utd_core.model.command import Actor
from utd_core.model.commands import LeaveSeat, TakeSeat
from utd_core.model.permission import TrackSource
from utd_core.testing.contract.signals import tone
from utd_livekit.backend import LiveKitBackend
from utd_livekit.server.local import LocalServer

from ._raw_livekit import RATE, Person, Server

SOUND, PICTURE = 0.02, 1 / 30
"""Seconds from frame to frame."""
WIDTH, HEIGHT, BITRATE = 1_280, 720, 1_728_000
SAMPLES, PICTURE_BYTES = 960, WIDTH * HEIGHT * 3 // 2
BYTES = (2 * SAMPLES, PICTURE_BYTES)
"""Of a whole frame, of sound and of pictures."""
LOUD = 2_000
HEARD_WITHIN = 20.0

HUM = tone(440.0, seconds=1.0)


async def film() -> list[VideoFrame]:
    """Two seconds of moving pictures."""
    source = TestPatternVideoSource(WIDTH, HEIGHT, seconds=2.0)
    return [frame async for frame in source]


class Side(Closeable):
    """A room with a speaker and a listener, and somebody who comes and goes.

    `seen`: frames that the listener has read, of pictures those of full size.
    """

    seen = 0

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def found(self) -> float:
        """Make another room and be in it; seconds that takes."""

    @abstractmethod
    async def join(self) -> float:
        """Come into the room that is there, and go; seconds until connected."""

    @abstractmethod
    async def speak(self) -> float:
        """Publish a sound, and take it back; seconds until the listener hears it."""

    @abstractmethod
    async def allow(self) -> float:
        """Let the speaker publish, and take it back; seconds until the server grants it."""

    @abstractmethod
    def sounding(self) -> AbstractAsyncContextManager[None]:
        """A context in which a sound is sent and read."""

    @abstractmethod
    def filming(self, pictures: list[VideoFrame]) -> AbstractAsyncContextManager[None]:
        """A context in which a film is sent and read."""


class Raw(Side):
    """The SDK alone."""

    def __init__(self, server: LocalServer) -> None:
        self.server = Server(server)
        self._numbers = count()
        self._heard = asyncio.Event()
        self._host, self._speaker, self._listener = Person(), Person(), Person(self._hear)

    async def open(self) -> None:
        await self.server.create_room("raw")
        people = {"host": self._host, "listener": self._listener, "speaker": self._speaker}
        for name, person in people.items():
            await person.connect(self.server.url, self.server.token("raw", name))

    async def found(self) -> float:
        room = f"raw-{next(self._numbers)}"
        person, token = Person(), self.server.token(room, "host")
        began = time.monotonic()
        await self.server.create_room(room)
        await person.connect(self.server.url, token)
        took = time.monotonic() - began
        await person.aclose()
        return took

    async def join(self) -> float:
        person, token = Person(), self.server.token("raw", "guest")
        began = time.monotonic()
        await person.connect(self.server.url, token)
        took = time.monotonic() - began
        await person.aclose()
        return took

    async def speak(self) -> float:
        self._heard.clear()
        began = time.monotonic()
        await self._speaker.publish_sound(_hum, SOUND)
        await asyncio.wait_for(self._heard.wait(), HEARD_WITHIN)
        took = time.monotonic() - began
        await self._speaker.unpublish()
        await asyncio.wait_for(self._listener.wait_silent(), HEARD_WITHIN)
        return took

    async def allow(self) -> float:
        took = []
        for may_publish in (True, False):
            began = time.monotonic()
            await self.server.allow("raw", "speaker", may_publish)
            took.append(time.monotonic() - began)
        return took[0]

    @asynccontextmanager
    async def sounding(self) -> AsyncIterator[None]:
        await self.server.allow("raw", "speaker", True)
        await self._speaker.publish_sound(_hum, SOUND)
        yield
        await self._speaker.unpublish()

    @asynccontextmanager
    async def filming(self, pictures: list[VideoFrame]) -> AsyncIterator[None]:
        def picture(number: int) -> VideoFrame:
            frame = pictures[number % len(pictures)]
            return VideoFrame(frame.data, WIDTH, HEIGHT, frame.format, round(number * PICTURE * 1e6))

        await self.server.allow("raw", "speaker", True)
        await self._speaker.publish_pictures(picture, PICTURE, WIDTH, HEIGHT, BITRATE)
        yield
        await self._speaker.unpublish()

    async def aclose(self) -> None:
        for person in (self._speaker, self._listener, self._host):
            await person.aclose()
        await self.server.aclose()

    def _hear(self, data: Any) -> None:
        self.seen += data.nbytes in BYTES if isinstance(data, memoryview) else len(data) in BYTES
        if not self._heard.is_set() and data.format == "h" and is_loud(data):
            self._heard.set()


class Ours(Side):
    """Engine and client."""

    def __init__(self, server: LocalServer) -> None:
        self.backend = LiveKitBackend({**server.settings, "server": server})
        self._watch = Watch()
        self.engine = Engine(self.backend, instrument=self._watch)
        self._numbers = count()
        self._stack = AsyncExitStack()
        self._speaker: UTDAudioRoomSession
        self._listener: UTDAudioRoomSession

    async def open(self) -> None:
        await self._stack.enter_async_context(self.backend)
        await self._stack.enter_async_context(self.engine)
        people = [self.engine.client(name, microphone=Hum) for name in ("host", "listener", "speaker", "guest")]
        host, listener, speaker, guest = [await self._stack.enter_async_context(person) for person in people]
        self._host, self._guest = host, guest
        await host.join_audio_room("ours", as_host=True, seat_video=True)
        self._listener = await listener.join_audio_room("ours")
        self._speaker = await speaker.join_audio_room("ours")

    async def found(self) -> float:
        began = time.monotonic()
        session = await self._host.join_audio_room(f"ours-{next(self._numbers)}", as_host=True)
        took = time.monotonic() - began
        await session.end_room()
        await session.aclose()
        return took

    async def join(self) -> float:
        began = time.monotonic()
        session = await self._guest.join_audio_room("ours")
        took = time.monotonic() - began
        await session.aclose()
        return took

    async def speak(self) -> float:
        async with self._listener.frames("speaker") as frames:
            began = time.monotonic()
            await self._speaker.take_seat()
            async with asyncio.timeout(HEARD_WITHIN):
                async for frame in frames:
                    if is_loud(memoryview(frame.data).cast("h")):
                        break
            took = time.monotonic() - began
        await self._speaker.leave_seat()
        await self._listener.remote_participants.wait_for(_nobody_speaks, HEARD_WITHIN)
        return took

    async def allow(self) -> float:
        took = []
        for command in (TakeSeat(room="ours", index=1), LeaveSeat(room="ours")):
            self._watch.applied.clear()
            began = time.monotonic()
            await self.engine.execute(command, actor=Actor("speaker"))
            await asyncio.wait_for(self._watch.applied.wait(), HEARD_WITHIN)
            took.append(time.monotonic() - began)
        return took[0]

    @asynccontextmanager
    async def sounding(self) -> AsyncIterator[None]:
        async with self._read(TrackSource.MICROPHONE):
            await self._speaker.take_seat()
            yield
            await self._speaker.leave_seat()

    @asynccontextmanager
    async def filming(self, pictures: list[VideoFrame]) -> AsyncIterator[None]:
        async with self._read(TrackSource.CAMERA):
            await self._speaker.take_seat(publish=False)
            await self._speaker.room.grant.wait_for(lambda grant: TrackSource.CAMERA in grant.publish, HEARD_WITHIN)
            await self._speaker.set_camera(True, Film(pictures))
            yield
            await self._speaker.leave_seat()

    async def aclose(self) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def _read(self, source: TrackSource) -> AsyncIterator[None]:
        async with self._listener.frames("speaker", source) as frames:

            async def take() -> None:
                async for frame in frames:
                    self.seen += len(frame.data) in BYTES

            reading = asyncio.create_task(take())
            yield
        await reading


class Watch:
    """Notes when the server has taken a permission. An `Instrument`."""

    def __init__(self) -> None:
        self.applied = asyncio.Event()

    def command(self, name: str, app_id: str) -> Work:
        return nullcontext()

    def origin(self) -> object:
        return None

    def commit(self, origins: Sequence[object]) -> Work:
        return nullcontext()

    def media(self, call: str) -> Work:
        return self._applying() if call == "apply_grant" else nullcontext()

    @contextmanager
    def _applying(self) -> Iterator[None]:
        yield
        self.applied.set()


class Hum(AudioSourceBase):
    """`HUM` over and over."""

    def __init__(self) -> None:
        super().__init__(RATE, 1, 20)
        self._next = 0

    async def read(self) -> AudioFrame:
        self._check_open()
        self._next += 1
        return self._stamp(HUM[self._next % len(HUM)].data)


class Film(VideoSourceBase):
    """Pictures over and over."""

    def __init__(self, pictures: list[VideoFrame]) -> None:
        super().__init__(WIDTH, HEIGHT, 1 / PICTURE)
        self._pictures = pictures
        self._next = 0

    async def read(self) -> VideoFrame:
        self._check_open()
        self._next += 1
        return self._stamp(self._pictures[self._next % len(self._pictures)].data)


def is_loud(samples: memoryview) -> bool:
    return max(array("h", samples.tobytes())) > LOUD


def _nobody_speaks(others: tuple[RemoteParticipant, ...]) -> bool:
    return not any(other.tracks for other in others)


def _hum(number: int) -> AudioFrame:
    frame = HUM[number % len(HUM)]
    return AudioFrame(frame.data, RATE, 1, number * 20_000)
