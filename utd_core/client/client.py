"""The entry point: one client per signed-in user, which makes the sessions."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Self, Unpack, overload

import anyio

from ..concurrency import Closeable, TaskScope
from ..errors import Closed, Conflict, Forbidden, InvalidInput, Unauthenticated
from ..media.encryption import EncryptionKey
from ..media.extras import needs_extra
from ..model.identifiers import check_device, check_identity, check_room_name, check_text
from ..model.results import UTDCall
from ..model.stream_type import UTDStreamType
from .context import ClientContext
from .link import EngineLink
from .media.devices import CameraFactory, Devices, MicrophoneFactory
from .options import ClientOptions
from .policy import RetryPolicy, check_seconds
from .sessions.audio_room import UTDAudioRoomSession
from .sessions.call import UTDCallSession
from .sessions.incoming import IncomingCalls
from .sessions.live_stream import UTDLiveStreamSession
from .sessions.room_session import RoomOptions, UTDRoomSession
from .state.observable import Observable

if TYPE_CHECKING:
    from ..engine import Engine
    from .remote.credentials import Headers
    from .remote.media import Media


def new_device() -> str:
    """An id for a device that has none: two clients of one user are two devices."""
    return f"device-{secrets.token_hex(6)}"


class UTDStreamClient(Closeable):
    """A signed-in user on one device.

        async with UTDStreamClient("my-app", "key", base_url="https://rtc.example.com", identity="alice") as alice:
            room = await alice.join_audio_room("lobby", as_host=True, seat_count=8)
            await room.take_seat()

    The engine is reached in one of three ways, and all else is the same:

    - at `base_url`, with the project's publishable `app_id` and `app_key` (see `RemoteLink` for `token_base_url`,
      `token_headers` and `media`; needs the extra `remote`);
    - in this process: `engine`, for which `engine.client("alice")` is short;
    - by a `link` of your own making, such as a `RemoteLink` with settings of its own.

    `device_id` names the device over restarts of the
    program; without one, each client is a device of its own. `microphone` and `camera` are factories of the
    sources that sessions open when no other is named; without more the microphone is silent and there is no camera.
    `simulcast` publishes the camera in several sizes, of which each viewer wishes one (`set_video_quality`), where the
    backend can; `dynacast` makes only those that somebody receives, and `adaptive_stream` has no video sent to this
    client that it does not read. With `e2ee`, a key that its participants share, sound, pictures and data are encrypted
    from end to end, where the backend can.
    `retry` rules how a lost connection is had again, `grant_timeout` (seconds) how long an operation waits for its
    permission on the media connection.

    Closing the client ends its incoming calls and frees the link; sessions are closed on their own, and the link stays
    until the last of them is.
    """

    @overload
    def __init__(
        self,
        app_id: str,
        app_key: str,
        *,
        base_url: str,
        token_base_url: str | None = None,
        token_headers: Headers | None = None,
        media: Media | None = None,
        identity: str | None = None,
        name: str = "",
        device_id: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None: ...

    @overload
    def __init__(
        self,
        *,
        engine: Engine,
        identity: str | None = None,
        name: str = "",
        device_id: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None: ...

    @overload
    def __init__(
        self,
        *,
        link: EngineLink,
        identity: str | None = None,
        name: str = "",
        device_id: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None: ...

    def __init__(
        self,
        app_id: str | None = None,
        app_key: str | None = None,
        *,
        base_url: str | None = None,
        token_base_url: str | None = None,
        token_headers: Headers | None = None,
        media: Media | None = None,
        engine: Engine | None = None,
        link: EngineLink | None = None,
        identity: str | None = None,
        name: str = "",
        device_id: str | None = None,
        microphone: MicrophoneFactory | None = None,
        camera: CameraFactory | None = None,
        adaptive_stream: bool = True,
        simulcast: bool = False,
        dynacast: bool = True,
        e2ee: EncryptionKey | None = None,
        retry: RetryPolicy | None = None,
        grant_timeout: float = 10.0,
        connect_deadline: float = 10.0,
    ) -> None:
        if sum(way is not None for way in (base_url, engine, link)) != 1:
            raise InvalidInput(
                "a client needs one way to its engine: UTDStreamClient(app_id, app_key, base_url=...), "
                "UTDStreamClient(engine=...) or UTDStreamClient(link=...)"
            )
        of_network = (app_id, app_key, token_base_url, token_headers, media)
        if base_url is None and any(value is not None for value in of_network):
            raise InvalidInput("app_id, app_key, token_base_url, token_headers and media go with base_url; name it")
        self._identity = None if identity is None else check_identity(identity)
        self._name = check_text(name)
        self._device = new_device() if device_id is None else check_device(device_id)
        self._devices = Devices(microphone, camera) if microphone is not None else Devices(camera=camera)
        self._adaptive_stream = adaptive_stream
        self._simulcast = simulcast
        self._dynacast = dynacast
        self._e2ee = e2ee
        if not (retry is None or isinstance(retry, RetryPolicy)):
            raise InvalidInput(f"retry is a RetryPolicy, got {type(retry).__name__}")
        check_seconds(grant_timeout, "grant_timeout")
        check_seconds(connect_deadline, "connect_deadline")
        self._retry = retry or RetryPolicy()
        if base_url is not None:
            with needs_extra("an engine on the network", "remote"):
                from .remote import RemoteLink
            if app_id is None or app_key is None:
                raise InvalidInput("a client of an engine on the network needs app_id and app_key; name them first")
            link = RemoteLink(
                app_id,
                app_key,
                base_url=base_url,
                token_base_url=token_base_url,
                token_headers=token_headers,
                media=media,
                retry=self._retry,
            )
        elif engine is not None:
            from .embedded import EmbeddedLink

            link = EmbeddedLink(engine)
        assert link is not None, "it is one of the three"
        self._link: EngineLink = link
        self._grant_timeout = grant_timeout
        self._connect_deadline = connect_deadline
        self._scope = TaskScope("UTDStreamClient")
        self._signing_in = anyio.Lock()
        self._is_signed_in = False
        self._incoming: IncomingCalls | None = None
        self._sessions: set[object] = set()
        self._closed = False

    @property
    def identity(self) -> str | None:
        """Who is signed in, or will be; None before the first `authenticate` or join names somebody."""
        return self._identity

    @property
    def user_token(self) -> str | None:
        """The bearer for commands, renewed before it expires; None before the sign-in."""
        session = self._link.session
        return None if session is None else session.user_token

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
        await self._sign_in(identity, name, device_id)
        async with self._signing_in:
            self._check_open()
            if self._incoming is None:
                await self._scope.open()
                incoming = IncomingCalls(self._link, self._who(), self._scope, self._retry)
                await incoming.open()
                self._incoming = incoming
        assert self._link.session is not None, "signing in sets it"
        return self._link.session.user_token

    def call_session(self, type: UTDStreamType | str) -> UTDCallSession:
        """A session for calls of a type. Raises `InvalidInput` for a type that is no call, `Unauthenticated`."""
        self._check_open()
        kind = _stream_type(type)
        if not self._is_signed_in:
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
            try:
                await self.authenticate()
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await self.aclose()
                raise
        return self

    async def _sign_in(self, identity: str | None, name: str | None, device_id: str | None) -> None:
        """Sign in once; later calls only check that they mean the same user on the same device."""
        async with self._signing_in:
            self._check_open()
            self._check_same(identity, device_id)
            if self._is_signed_in:
                return
            wanted = self._identity if identity is None else check_identity(identity)
            if wanted is None:
                raise Unauthenticated("who is it? name an identity, here or when the client is made")
            device = self._device if device_id is None else check_device(device_id)
            called = self._name if name is None else check_text(name)
            await self._link.authenticate(wanted, name=called, device_id=device)
            self._is_signed_in, self._identity, self._device, self._name = True, wanted, device, called

    def _check_same(self, identity: str | None, device_id: str | None) -> None:
        if identity is not None and self._identity not in (None, identity):
            raise Conflict(f"this client is {self._identity!r}; make another client for {identity!r}")
        if self._is_signed_in and device_id not in (None, self._device):
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
            e2ee=self._e2ee,
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
