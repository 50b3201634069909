"""People of the session API on the backend under test: an engine on it, and clients, rooms and calls of the engine.

Everybody has a voice and a face of their own, a pitch and a brightness, so that a test knows whom it hears and sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from ...client import (
    EndReason,
    Observable,
    SessionState,
    UTDAudioRoomSession,
    UTDCallSession,
    UTDCallStatus,
    UTDLiveStreamSession,
    UTDSession,
    UTDStreamClient,
    UTDStreamType,
)
from ...engine import Engine
from ...errors import UTDStreamException
from ...media.faults import Fault
from ...media.frames import VideoFrame
from ...media.sources.base import VideoSourceBase
from ...media.sources.synthetic import ToneAudioSource
from ...model.permission import Grant, TrackSource
from . import signals
from .harness import Harness
from .peer import Collector

T = TypeVar("T")
S = TypeVar("S", bound=UTDSession)

VOICES = {"ann": 440.0, "bob": 700.0, "cyd": 1_100.0, "dan": 1_700.0}
"""Hz."""
FACES = {"ann": 60, "bob": 105, "cyd": 150, "dan": 195}
"""Luma, of 255."""

_VOICE_DBFS = -12.0
_FACE_RATE = 10.0


class Face(VideoSourceBase):
    """A camera that sees one brightness."""

    def __init__(self, luma: int) -> None:
        super().__init__(160, 120, _FACE_RATE)
        self._picture = signals.flat(luma).data

    async def read(self) -> VideoFrame | None:
        self._check_open()
        return self._stamp(self._picture)


class Witness:
    """What one session hears and sees of one participant, over as many tracks as that takes."""

    def __init__(self, harness: Harness, session: UTDSession, identity: str) -> None:
        self._harness = harness
        self._identity = identity
        self.sound = Collector(harness, session.frames(identity, TrackSource.MICROPHONE))
        self.pictures = Collector(harness, session.frames(identity, TrackSource.CAMERA))
        harness.background(self.sound.collect)
        harness.background(self.pictures.collect)

    async def hears(self) -> None:
        """Wait until the participant's voice arrives, from now on."""
        await self.sound.hears(VOICES[self._identity])

    async def sees(self) -> None:
        """Wait until the participant's face arrives, from now on."""
        start = len(self.pictures.frames)
        face = FACES[self._identity]

        def seen() -> bool:
            return face in signals.storyboard(self.pictures.video[start:][-1:], list(FACES.values()))

        await self._harness.eventually(seen, what=f"the face of {self._identity}")

    async def silence(self) -> None:
        """Wait until what is under way has arrived; no voice may come after that."""
        await self.sound.silence()

    async def darkness(self) -> None:
        """Wait until what is under way has arrived; no picture may come after that."""
        await self._harness.settle()
        before = len(self.pictures.frames)
        await self._harness.settle()
        assert len(self.pictures.frames) == before, f"pictures of {self._identity} arrived that should not"


class StageHand:
    """Opens an engine on the harness' backend, brings people on, and clears everything away at the end.

    All of one test play in one room, `room`; calls have rooms of their own.
    """

    def __init__(self, harness: Harness) -> None:
        self.room = harness.claim(harness.room_name("stage"))
        self.engine = Engine(harness.backend, clock=harness.clock)
        self._harness = harness
        self._clearing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._harness.within(self.engine.__aenter__(), what="an open engine")
        self._at_the_end(self.engine.aclose, "the end of the engine")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._clearing.aclose()

    def _at_the_end(self, close: Callable[[], Awaitable[None]], what: str) -> None:
        async def closed() -> None:
            await self._harness.within(close(), what=what)

        self._clearing.push_async_callback(closed)

    async def client(self, identity: str, *, device_id: str | None = None) -> UTDStreamClient:
        """Somebody who is signed in, with a voice and a face."""
        client = self.engine.client(
            identity,
            device_id=device_id,
            microphone=lambda: ToneAudioSource(VOICES[identity], _VOICE_DBFS),
            camera=lambda: Face(FACES[identity]),
        )
        self._at_the_end(client.aclose, f"the end of the client of {identity}")
        await self._harness.within(client.authenticate(), what="signing in")
        return client

    async def audio_room(
        self, identity: str, *, as_host: bool = False, device_id: str | None = None, **options: Any
    ) -> UTDAudioRoomSession:
        """Somebody new in the audio room. `options`: of a room that is made."""
        client = await self.client(identity, device_id=device_id)
        return self.keep(
            await self._harness.within(
                client.join_audio_room(self.room, as_host=as_host, **options), what=f"{identity} in the room"
            )
        )

    async def live_stream(self, identity: str, *, as_host: bool = False, **options: Any) -> UTDLiveStreamSession:
        """Somebody new in the live stream. `options`: of a room that is made."""
        client = await self.client(identity)
        return self.keep(
            await self._harness.within(
                client.join_live_stream(self.room, as_host=as_host, **options), what=f"{identity} in the stream"
            )
        )

    def keep(self, session: S) -> S:
        """Close a session at the end."""
        self._at_the_end(session.aclose, f"the end of a session of {session.identity}")
        return session

    def witness(self, session: UTDSession, identity: str) -> Witness:
        """Begin to hear and see a participant."""
        return Witness(self._harness, session, identity)

    def hear_of(self, session: UTDSession, kind: type[T]) -> list[T]:
        """The events of a kind that a session is told from now on, as they come."""
        told: list[T] = []
        reader = session.events.reader()

        async def read() -> None:
            async for event in reader:
                if isinstance(event, kind):
                    told.append(event)

        self._harness.background(read)
        return told

    def begin(self, operation: Awaitable[T]) -> asyncio.Future[T]:
        """Run something beside the test; its outcome."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            try:
                result = await operation
            except UTDStreamException as error:
                outcome.set_exception(error)
            else:
                outcome.set_result(result)

        self._harness.background(run)
        return outcome

    async def becomes(self, observable: Observable[T], wanted: Callable[[T], object], what: str) -> None:
        """Wait until an observable has such a value."""
        await self._harness.eventually(lambda: bool(wanted(observable.value)), what=what)

    async def ends(self, session: UTDSession, reason: EndReason) -> None:
        """Wait until a session is disconnected, for this reason, and has no media connection."""
        await self.becomes(session.state, lambda state: state is SessionState.DISCONNECTED, "the end of the session")
        end = session.ended.value
        assert end is not None
        assert end.reason is reason, f"{session.identity} was told {end}"
        assert not session.room.connected.value

    async def goes_away(self, session: UTDSession, identity: str) -> None:
        """Wait until somebody is not in the media room any more, as another sees it."""
        await self._harness.eventually(
            lambda: identity not in session.room.participants, what=f"{identity} gone from the media room"
        )

    async def granted(self, identity: str, wanted: Callable[[Grant], object], what: str) -> None:
        """Wait until the backend's own list shows such a grant of somebody in the room."""

        async def shown() -> bool:
            people = await self._harness.control.list_participants(self.room)
            return any(bool(wanted(person.grant)) for person in people if person.identity == identity)

        await self._harness.eventually(shown, what=what)

    async def inject(self, fault: Fault, room: str, identity: str | None = None, **parameters: float) -> None:
        """Produce a fault."""
        await self._harness.within(self._harness.backend.inject(fault, room, identity, **parameters))

    async def telephone(self, type: UTDStreamType, caller: str, callee: str) -> Telephone:
        """Two people who can call each other."""
        calling, called = await self.client(caller), await self.client(callee)
        sessions = self.keep(calling.call_session(type)), self.keep(called.call_session(type))
        return Telephone(self._harness, self, (calling, called), sessions)


class Telephone:
    """A caller and a callee, each with a client and a call session."""

    def __init__(
        self,
        harness: Harness,
        hand: StageHand,
        clients: tuple[UTDStreamClient, UTDStreamClient],
        sessions: tuple[UTDCallSession, UTDCallSession],
    ) -> None:
        self._harness = harness
        self._hand = hand
        self._clients = clients
        self.callee_client = clients[1]
        self.caller, self.callee = sessions

    def reversed(self) -> Telephone:
        """The same two, the other one calling."""
        return Telephone(self._harness, self._hand, self._clients[::-1], (self.callee, self.caller))

    async def ring(self, **options: Any) -> str:
        """The caller calls, and the callee's client is told; the id of the call."""
        call = await self._harness.within(self.caller.start(self.callee.identity, **options), what="a call that rings")
        self._harness.claim(call.room_name)
        await self.rings(self.callee_client, call.call_id)
        return call.call_id

    async def rings(self, client: UTDStreamClient, call_id: str) -> None:
        """Wait until a device hears of the call."""
        await self._hand.becomes(
            client.incoming_calls,
            lambda calls: any(call.call_id == call_id for call in calls),
            "the incoming call",
        )

    async def falls_silent(self, client: UTDStreamClient) -> None:
        """Wait until nothing rings at a device."""
        await self._hand.becomes(client.incoming_calls, lambda calls: not calls, "the end of the ringing")

    async def talk(self) -> str:
        """A call that was answered, with both media connections there; its id."""
        call_id = await self.ring()
        await self._harness.within(self.callee.accept(call_id), what="an answered call")
        for session in (self.caller, self.callee):
            await self.shows(session, UTDCallStatus.ACTIVE)
        return call_id

    async def shows(self, session: UTDCallSession, status: UTDCallStatus) -> None:
        """Wait for a status of the call."""
        await self._hand.becomes(session.status, lambda now: now is status, f"{status.value} at {session.identity}")

    async def hung_up(self, session: UTDCallSession, status: UTDCallStatus) -> None:
        """Wait until a session is disconnected, its call over in this way."""
        await self._hand.ends(session, EndReason.CALL_ENDED)
        assert session.status.value is status, f"{session.identity} shows {session.status.value}"

    async def hear_each_other(self) -> None:
        """Both voices arrive, from now on."""
        await self._hand.witness(self.caller, self.callee.identity).hears()
        await self._hand.witness(self.callee, self.caller.identity).hears()

    async def see_each_other(self) -> None:
        """Both faces arrive, from now on."""
        await self._hand.witness(self.caller, self.callee.identity).sees()
        await self._hand.witness(self.callee, self.caller.identity).sees()
