"""Calls of clients on the network: sockets are cut, the server goes, and media does not mind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.client.test_calls import talk
from tests.client.world import STEADY, now
from tests.remote.world import FaultyTransport
from utd_core.client import UTDCallSession, UTDCallStatus
from utd_core.errors import ConnectFailed, Unavailable
from utd_core.media.backend import ConnectOptions, JoinTicket
from utd_core.model.commands import GetCall
from utd_core.model.permission import TrackSource
from utd_core.model.session import SessionState
from utd_core.testing.leaks import Snapshot, assert_no_leaks
from utd_webrtc_p2p.backend import P2PBackend
from utd_webrtc_p2p.connection import P2PConnection

from .calls import P2PWorld


class HurtWorld(P2PWorld):
    """Clients on the network, by a way that fails when it is told to."""

    def __init__(self) -> None:
        super().__init__("remote")
        self.between = FaultyTransport(self.transport, self.clock)

    def new_link(self, **options: Any) -> Any:
        return super().new_link(**{"transport": self.between, **options})

    def connection(self, session: UTDCallSession) -> P2PConnection:
        call = session.call.value
        assert call is not None
        (one,) = self.backend.connections(call.room_name, session.identity)
        return one

    def generation(self, session: UTDCallSession) -> int:
        """The peer connection that carries media now."""
        return self.connection(session).native.live_generation

    def muted(self, session: UTDCallSession) -> list[bool]:
        """Which of its own tracks the session knows to be muted."""
        assert session.room.local_participant is not None
        return [track.muted for track in session.room.local_participant.tracks]

    def stays(self) -> dict[str, str]:
        (room,) = self.backend.board.rooms.values()
        return {stay.identity: stay.id for stay in room.stays.values()}

    def lines(self) -> list[bool]:
        """Whether each participant is heard."""
        (room,) = self.backend.board.rooms.values()
        return [stay.tell is not None for stay in room.stays.values()]


@pytest.fixture
async def world() -> AsyncIterator[HurtWorld]:
    before = Snapshot.take()
    async with HurtWorld() as world:
        yield world
    await assert_no_leaks(before)


async def test_signalling_that_breaks_does_not_touch_media_and_goes_on(world: HurtWorld) -> None:
    alice, bob = await talk(world)  # type: ignore[arg-type]  # the same words on another backend
    before, generation = world.stays(), world.generation(alice)
    async with alice.frames("bob") as frames:
        await world.run(anext(frames))
        world.between.away = True
        world.between.cut()
        await world.until(lambda: not any(world.lines()), what="the loss of both lines")
        heard = [await world.run(anext(frames), timeout=1.0) for _ in range(25)]
        assert all(any(frame.data) for frame in heard[5:])
        world.between.away = False
        await world.until(lambda: world.lines() == [True, True], what="lines again")
        await world.run(anext(frames), timeout=1.0)
    assert (world.stays(), world.generation(alice)) == (before, generation)
    assert world.backend.board.rooms.popitem()[1].generation == generation
    assert now(alice.status) is now(bob.status) is UTDCallStatus.ACTIVE


async def test_what_happened_meanwhile_is_known_afterwards(world: HurtWorld) -> None:
    alice, bob = await talk(world)  # type: ignore[arg-type]
    world.between.away = True
    world.between.cut()
    await world.until(lambda: not any(world.lines()))
    track = next(iter(world.connection(alice).participants["bob"].tracks))
    await world.backend.control.mute_track(world.connection(alice).room, "bob", track.id)
    world.between.away = False
    await world.until(lambda: world.connection(alice).participants["bob"].tracks[0].muted, what="the mute")
    await world.until(lambda: now(bob.room.connected) and all(world.muted(bob)), what="the publisher's knowing it")


async def test_the_session_says_reconnecting_while_only_signalling_is_away(world: HurtWorld) -> None:
    alice, _ = await talk(world)  # type: ignore[arg-type]
    connection = world.connection(alice)
    world.between.away = True
    world.between.cut()
    await world.until(lambda: now(alice.state) is SessionState.RECONNECTING, what="an honest state")
    assert connection.native.is_up
    world.between.away = False
    await world.until(lambda: now(alice.state) is SessionState.CONNECTED, what="being back")
    assert world.connection(alice) is connection


async def test_who_has_no_part_in_a_call_has_no_line_with_anybodys_ticket(world: HurtWorld) -> None:
    alice, _ = await talk(world)  # type: ignore[arg-type]
    call = alice.call.value
    assert call is not None
    ticket = (await alice._context.link.execute(GetCall(id=call.call_id))).ticket
    mallory = world.new_link()
    await world.run(mallory.authenticate("mallory", name="", device_id="default"))
    with pytest.raises(ConnectFailed):
        await world.run(mallory.connect_media(ticket, ConnectOptions()))
    with pytest.raises(ConnectFailed, match="process"):
        # Nor does the ticket's address lead anywhere from outside.
        async with P2PBackend({"loopback": "always"}) as elsewhere:
            await elsewhere.connect(JoinTicket("p2p+local:0123456789abcdef", ticket.token, ticket.expires_at))
    await mallory.aclose()
    assert set(world.stays()) == {"alice", "bob"}


async def test_video_comes_and_goes_in_a_call_without_building_it_anew(world: HurtWorld) -> None:
    alice, bob = await talk(world, "video_call")  # type: ignore[arg-type]

    def shown() -> bool:
        tracks = world.connection(bob).participants["alice"].tracks
        return any(track.source is TrackSource.CAMERA and not track.muted for track in tracks)

    generation = world.generation(alice)
    async with bob.frames("alice", TrackSource.CAMERA) as pictures:
        await world.run(anext(pictures))
    await world.run(alice.set_camera(False))
    await world.until(lambda: not shown(), what="a call of sound alone")
    async with bob.frames("alice") as sound:
        await world.run(anext(sound))
    await world.run(alice.set_camera(True))
    await world.until(shown, what="the picture")
    async with bob.frames("alice", TrackSource.CAMERA) as pictures:
        await world.run(anext(pictures))
    assert world.generation(alice) == generation


async def test_a_line_that_breaks_at_once_is_tried_again_with_pauses(world: HurtWorld) -> None:
    alice, _ = await talk(world)  # type: ignore[arg-type]
    call = alice.call.value
    assert call is not None
    opened: list[float] = []

    async def away(channel: str, *, actor: object) -> object:
        opened.append(world.clock.monotonic())
        raise Unavailable("not now")

    before = world.stays()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.engine, "signalling", away)
        world.between.cut()
        await world.until(lambda: len(opened) >= 6, what="several attempts of two clients")
        assert max(opened) - min(opened) >= STEADY.first_wait
    await world.until(lambda: world.lines() == [True, True], what="lines again")
    assert world.stays() == before
