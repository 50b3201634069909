"""Participants that signal over the engine: M71 to M74."""

from __future__ import annotations

from ...concurrency import BoundedQueue
from ...errors import ConnectFailed
from ...media.backend import ConnectOptions, MediaConnection
from ...media.events import ConnectionState, GrantChanged, ParticipantLeft, StateChanged
from ...media.signalling import LocalSignalling, Signal, Signalling
from .harness import LISTENER, SPEAKER, Harness
from .proof import proves, refused
from .test_control_moderation import listed

RECONNECTING, CONNECTED = ConnectionState.RECONNECTING, ConnectionState.CONNECTED


def signalling(harness: Harness, room: str, identity: str) -> LocalSignalling:
    return LocalSignalling(harness.control.signalling(room, identity))


async def enter(harness: Harness, room: str, identity: str, way: Signalling) -> MediaConnection:
    """Connect with the ticket of an identity over a way, which may be somebody else's."""
    ticket = await harness.ticket(room, identity, LISTENER)
    return await harness.connect(ticket, ConnectOptions(signalling=way))


async def hung_up(harness: Harness, way: LocalSignalling, what: str) -> None:
    await harness.eventually(lambda: way.incoming.closed, what=what)


@proves("M71")
async def test_a_ticket_of_somebody_else_is_good_for_nothing(harness: Harness) -> None:
    room, elsewhere = await harness.room(), await harness.room("elsewhere")
    for desk_room, desk_identity in ((room, "bob"), (elsewhere, "ann")):
        with refused(ConnectFailed, what=f"ann's ticket at the desk of {desk_identity!r} in {desk_room!r}: "):
            await enter(harness, room, "ann", signalling(harness, desk_room, desk_identity))
    assert await listed(harness, room) == await listed(harness, elsewhere) == {}
    harness.watch(await enter(harness, room, "ann", signalling(harness, room, "ann")))
    assert set(await listed(harness, room)) == {"ann"}


@proves("M72")
async def test_a_broken_line_is_resumed(harness: Harness) -> None:
    room = await harness.room()
    way = signalling(harness, room, "ann")
    ann = harness.watch(await enter(harness, room, "ann", way))
    bob = await harness.join(room, "bob", LISTENER)
    way.interrupt()
    await ann.expect(StateChanged, state=RECONNECTING)
    await harness.within(harness.control.apply_grant(room, "ann", SPEAKER))
    await harness.settle()
    assert not ann.told(GrantChanged), "a line that is broken told something"
    way.restore()
    await ann.expect(StateChanged, state=CONNECTED)
    await ann.expect(GrantChanged, grant=SPEAKER)
    assert set(await listed(harness, room)) == {"ann", "bob"}
    assert not bob.told(ParticipantLeft)


class Lent(Signalling):
    """A way that tells whether it was closed."""

    def __init__(self, way: LocalSignalling) -> None:
        self.closed = False
        self._way = way

    @property
    def incoming(self) -> BoundedQueue[Signal]:
        return self._way.incoming

    async def send(self, message: bytes) -> None:
        await self._way.send(message)

    async def aclose(self) -> None:
        await self._way.aclose()
        self.closed = True


@proves("M73")
async def test_signalling_is_closed_with_its_connection(harness: Harness) -> None:
    room = await harness.room()
    way = Lent(signalling(harness, room, "ann"))
    ann = harness.watch(await enter(harness, room, "ann", way))
    await harness.settle()
    assert not way.closed
    await harness.within(ann.connection.aclose())
    await harness.eventually(lambda: way.closed, what="the end of a way whose connection was closed")
    strange = Lent(signalling(harness, room, "bob"))
    with refused(ConnectFailed):
        await enter(harness, room, "ann", strange)
    await harness.eventually(lambda: strange.closed, what="the end of a way over which nobody came in")


@proves("M74")
async def test_nonsense_on_a_line_hangs_it_up_and_disturbs_nobody(harness: Harness) -> None:
    room = await harness.room()
    ann = harness.watch(await enter(harness, room, "ann", signalling(harness, room, "ann")))
    for nonsense in (b"", b"{}", b"null", b"\xff", b"[" * 10_000, b'{"type": "no such thing"}'):
        stranger = signalling(harness, room, "bob")
        await harness.within(stranger.send(nonsense))
        await hung_up(harness, stranger, f"the end of a line after {nonsense[:20]!r}")
        await harness.within(stranger.aclose())
    await harness.settle()
    assert ann.connection.state is CONNECTED
    assert not ann.log
    assert set(await listed(harness, room)) == {"ann"}
