"""The entry point: one client per signed-in user, which makes the sessions."""

from __future__ import annotations

import secrets
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

import anyio

from ..concurrency import TaskScope
from ..errors import Closed, Conflict, Forbidden, InvalidInput, Unauthenticated
from ..model.identifiers import check_device, check_identity, check_room_name, check_text
from ..model.results import UserSession, UTDCall
from ..model.stream_type import UTDStreamType
from .audio_room import UTDAudioRoomSession
from .call import UTDCallSession
from .context import ClientContext
from .devices import CameraFactory, Devices, MicrophoneFactory
from .incoming import IncomingCalls
from .link import EngineLink
from .live_stream import UTDLiveStreamSession
from .observable import Observable
from .policy import RetryPolicy, check_seconds
from .room_session import RoomOptions, UTDRoomSession

if TYPE_CHECKING:
    from ..engine import Engine


def new_device() -> str:
    """An id for a device that has none: two clients of one user are two devices."""
    return f"device-{secrets.token_hex(6)}"


class UTDStreamClient:
    """A signed-in user on one device.

        async with engine.client("alice") as alice:
            room = await alice.join_audio_room("lobby", as_host=True, seat_count=8)
            await room.take_seat()

    `engine` (in this process) or `link` is how the engine is reached. `device_id` names the device over restarts of the
    program; without one, each client is a device of its own. `microphone` and `camera` are factories of the
    sources that sessions open when no other is named; without more the microphone is silent and there is no camera.
    `simulcast` publishes the camera in several sizes, of which each viewer wishes one (`set_video_quality`), where the
    backend can; `dynacast` makes only those that somebody receives, and `adaptive_stream` has no video sent to this
    client that it does not read.
    `retry` rules how a lost connection is had again, `grant_timeout` (seconds) how long an operation waits for its
    permission on the media connection.

    Closing the client ends its incoming calls and frees the link; sessions are closed on their own, and the link stays
    until the last of them is.
    """

    def __init__(
        self,
        link: EngineLink | None = None,
        *,
        engine: Engine | None = None,
        identity: str | None = None,
        name: str = "",
        device_id: str | None = None,
        microphone: MicrophoneFactory | None = None,
        camera: CameraFactory | None = None,
        adaptive_stream: bool = True,
        simulcast: bool = False,
        dynacast: bool = True,
        retry: RetryPolicy | None = None,
        grant_timeout: float = 10.0,
        connect_deadline: float = 10.0,
    ) -> None:
        if (link is None) == (engine is None):
            raise InvalidInput("a client needs a link, or an engine in this process: UTDStreamClient(engine=engine)")
        if link is None:
            from .embedded import EmbeddedLink

            assert engine is not None
            link = EmbeddedLink(engine)
        self._link: EngineLink = link
        self._identity = None if identity is None else check_identity(identity)
        self._name = check_text(name)
        self._device = new_device() if device_id is None else check_device(device_id)
        self._devices = Devices(microphone, camera) if microphone is not None else Devices(camera=camera)
        self._adaptive_stream = adaptive_stream
        self._simulcast = simulcast
        self._dynacast = dynacast
        if not (retry is None or isinstance(retry, RetryPolicy)):
            raise InvalidInput(f"retry is a RetryPolicy, got {type(retry).__name__}")
        check_seconds(grant_timeout, "grant_timeout")
        check_seconds(connect_deadline, "connect_deadline")
        self._retry = retry or RetryPolicy()
        self._grant_timeout = grant_timeout
        self._connect_deadline = connect_deadline
        self._scope = TaskScope("UTDStreamClient")
        self._signing_in = anyio.Lock()
        self._user: UserSession | None = None
        self._incoming: IncomingCalls | None = None
        self._sessions: set[object] = set()
        self._closed = False

    @property
    def identity(self) -> str | None:
        """Who is signed in, or will be; None before the first `authenticate` or join names somebody."""
        return self._identity

    @property
    def user_token(self) -> str | None:
        """The bearer for commands, None before the sign-in."""
        return None if self._user is None else self._user.user_token

    @property
    def incoming_calls(self) -> Observable[tuple[UTDCall, ...]]:
        """Calls that ring for this user now, oldest first: a call leaves when any device answers, or it ends.

        Follows the engine from `authenticate()` (or `async with`) on. Raises `Unauthenticated` before.
        """
        if self._incoming is None:
            raise Unauthenticated("nobody is signed in; call authenticate() first")
        return self._incoming.ringing

    async def authenticate(
        self, identity: str | None = None, *, name: str | None = None, device_id: str | None = None
    ) -> str:
        """Sign in without a room, and begin to hear of incoming calls; the user token. Required before calls.

        `identity` may be left out where the client was made with one. Raises `Conflict` for another identity than the
        client's, `InvalidInput`, `Banned`.
        """
        user = await self._sign_in(identity, name, device_id)
        async with self._signing_in:
            self._check_open()
            if self._incoming is None:
                await self._scope.open()
                incoming = IncomingCalls(self._link, self._who(), self._scope, self._retry)
                await incoming.open()
                self._incoming = incoming
        return user.user_token

    def call_session(self, type: UTDStreamType | str) -> UTDCallSession:
        """A session for calls of a type. Raises `InvalidInput` for a type that is no call, `Unauthenticated`."""
        self._check_open()
        kind = _stream_type(type)
        if self._user is None:
            raise Unauthenticated("calls need somebody who is signed in; call authenticate() first")
        session = UTDCallSession(self._context(), kind)
        self._sessions.add(session)
        return session

    async def join_audio_room(
        self,
        room_name: str,
        *,
        identity: str | None = None,
        as_host: bool = False,
        name: str | None = None,
        device_id: str | None = None,
        **options: Unpack[RoomOptions],
    ) -> UTDAudioRoomSession:
        """Join an audio room. A host creates it when it is not there, with `options` (`seat_count`, `seat_mode`, ...).

        Raises `Forbidden` for options without `as_host`, `NotFound` room_not_found, `Conflict` (wrong_room_type,
        room_full, room_not_live, room_ended), `Banned`, and what connecting raises.
        """
        _check_options(as_host, options)
        check_room_name(room_name)
        await self._sign_in(identity, name, device_id)
        session = UTDAudioRoomSession(self._context(), room_name, as_host=as_host, options=options)
        await self._join(session)
        return session

    async def join_live_stream(
        self,
        room_name: str,
        *,
        identity: str | None = None,
        as_host: bool = False,
        name: str | None = None,
        device_id: str | None = None,
        **options: Unpack[RoomOptions],
    ) -> UTDLiveStreamSession:
        """Join a live stream, as its host (who then calls `go_live()`) or as a viewer; raises as `join_audio_room`."""
        _check_options(as_host, options)
        check_room_name(room_name)
        await self._sign_in(identity, name, device_id)
        session = UTDLiveStreamSession(self._context(), room_name, as_host=as_host, options=options)
        await self._join(session)
        return session

    async def aclose(self) -> None:
        """End the incoming calls, and free the link as soon as no session uses it. Idempotent, from any task."""
        self._closed = True
        if self._incoming is not None:
            self._incoming.close()
        try:
            await self._free_link()
        finally:
            await self._scope.aclose()

    async def __aenter__(self) -> Self:
        if self._identity is not None:
            await self.authenticate()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _sign_in(self, identity: str | None, name: str | None, device_id: str | None) -> UserSession:
        """Sign in once; later calls only check that they mean the same user on the same device."""
        async with self._signing_in:
            self._check_open()
            self._check_same(identity, device_id)
            user = self._user
            if user is None:
                wanted = self._identity if identity is None else check_identity(identity)
                if wanted is None:
                    raise Unauthenticated("who is it? name an identity, here or when the client is made")
                device = self._device if device_id is None else check_device(device_id)
                called = self._name if name is None else check_text(name)
                user = await self._link.authenticate(wanted, name=called, device_id=device)
                self._user, self._identity, self._device, self._name = user, wanted, device, called
            return user

    def _check_same(self, identity: str | None, device_id: str | None) -> None:
        if identity is not None and self._identity not in (None, identity):
            raise Conflict(f"this client is {self._identity!r}; make another client for {identity!r}")
        if self._user is not None and device_id not in (None, self._device):
            raise Conflict(f"this client is signed in on {self._device!r}; make another client for {device_id!r}")

    async def _join(self, session: UTDRoomSession) -> None:
        self._check_open()
        self._sessions.add(session)
        try:
            await session.join()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await session.aclose()
            raise

    async def _released(self, session: object) -> None:
        """A session was closed."""
        self._sessions.discard(session)
        if self._closed:
            await self._free_link()

    async def _free_link(self) -> None:
        if not self._sessions:
            await self._link.aclose()

    def _context(self) -> ClientContext:
        return ClientContext(
            link=self._link,
            identity=self._who(),
            name=self._name,
            device_id=self._device,
            devices=self._devices,
            adaptive_stream=self._adaptive_stream,
            simulcast=self._simulcast,
            dynacast=self._dynacast,
            retry=self._retry,
            grant_timeout=self._grant_timeout,
            connect_deadline=self._connect_deadline,
            released=self._released,
        )

    def _who(self) -> str:
        assert self._identity is not None, "signing in sets it"
        return self._identity

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the client was closed; make a new one")


def _stream_type(type: UTDStreamType | str) -> UTDStreamType:
    try:
        return UTDStreamType(type)
    except ValueError:
        known = ", ".join(each.value for each in UTDStreamType)
        raise InvalidInput(f"there is no stream type {type!r}; there are {known}") from None


def _check_options(as_host: bool, options: RoomOptions) -> None:
    given = sorted(name for name, value in options.items() if value is not None)
    if given and not as_host:
        raise Forbidden(f"only a host sets {', '.join(given)}; join as_host, or without")
