"""Audio rooms, end to end: S1 to S19."""

from __future__ import annotations

import pytest

from ...client import EndReason, Phase, SeatMode, UTDAudioRoomSession
from ...errors import Conflict, ConnectFailed, ErrorCode, Forbidden, Superseded
from ...media.backend import JoinTicket
from ...media.events import DataReceived
from ...media.faults import Fault
from ...model.command import Actor
from ...model.commands import JoinRoom
from ...model.permission import TrackSource
from .harness import Harness
from .proof import proves, refused
from .stage_hand import StageHand

MICROPHONE = TrackSource.MICROPHONE


async def host_and_listener(hand: StageHand) -> tuple[UTDAudioRoomSession, UTDAudioRoomSession]:
    """Ann, the host, and bob, who listens, in a room of four seats."""
    return await hand.audio_room("ann", as_host=True, seat_count=4), await hand.audio_room("bob")


async def seat_is_gone(hand: StageHand, session: UTDAudioRoomSession) -> None:
    await hand.becomes(
        session.seats, lambda grid: grid.seat_of(session.identity) is None, f"the seat of {session.identity} gone"
    )


@proves("S1")
@pytest.mark.parity("U6", "U15")
async def test_a_seated_host_is_heard(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears = hand.witness(bob, "ann")
        seat = await harness.within(ann.take_seat(0))
        assert (seat.index, seat.identity) == (0, "ann")
        await ears.hears()
        await hand.becomes(bob.seats, lambda grid: grid.seat_of("ann") is not None, "the seat, as bob sees it")
        assert len(bob.seats.value.seats) == 4


@proves("S2")
@pytest.mark.parity("U15", "U20", "B5")
async def test_a_seat_is_the_permission_on_the_media_plane(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears = hand.witness(ann, "bob")
        await harness.within(bob.take_seat())
        await hand.granted("bob", lambda grant: grant.publish == {MICROPHONE}, "the microphone in bob's grant")
        await ears.hears()
        await harness.within(bob.leave_seat())
        await ears.silence()
        await hand.granted("bob", lambda grant: not grant.can_publish, "a grant of bob without a source")
        await hand.becomes(bob.can_publish, lambda can: not can, "the grant taken away, as bob sees it")
        assert ann.room.participants["bob"].tracks == ()


@proves("S3")
@pytest.mark.parity("U9", "U17")
async def test_without_a_seat_nobody_publishes(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears = hand.witness(ann, "bob")
        await hand.granted("bob", lambda grant: grant.subscribe and not grant.can_publish, "the grant of a listener")
        assert not bob.can_publish.value
        with refused(Forbidden):
            await harness.within(bob.set_microphone(True))
        with refused(Forbidden):
            await harness.within(bob.room.set_microphone(True))
        await ears.silence()


@proves("S4")
@pytest.mark.parity("U15")
async def test_several_seated_are_each_heard_as_themselves(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        cyd = await hand.audio_room("cyd")
        ears = hand.witness(cyd, "ann"), hand.witness(cyd, "bob"), hand.witness(ann, "bob"), hand.witness(bob, "ann")
        await harness.within(ann.take_seat(0))
        await harness.within(bob.take_seat(1))
        for each in ears:
            await each.hears()


@proves("S5")
@pytest.mark.parity("U15", "B7", "S4")
async def test_an_approved_request_is_heard(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann = await hand.audio_room("ann", as_host=True, seat_count=2, seat_mode=SeatMode.REQUEST)
        bob = await hand.audio_room("bob")
        with refused(Forbidden, ErrorCode.SEATS_BY_REQUEST):
            await harness.within(bob.take_seat())
        ears = hand.witness(ann, "bob")
        asked = await harness.within(bob.request_to_speak())
        await hand.becomes(
            ann.requests, lambda requests: any(one.id == asked.id for one in requests), "the request at the host"
        )
        assert not bob.can_publish.value
        await harness.within(ann.approve_speaker(asked.id))
        await ears.hears()
        assert bob.seats.value.seat_of("bob") is not None
        assert ann.requests.value == ()


@proves("S6")
@pytest.mark.parity("B8")
async def test_who_moves_goes_on_being_heard(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears = hand.witness(ann, "bob")
        await harness.within(bob.take_seat(1))
        await ears.hears()
        before = ann.room.participants["bob"].tracks
        await harness.within(bob.move_seat(3))
        await ears.hears()
        await harness.settle()
        assert [track.id for track in ann.room.participants["bob"].tracks] == [track.id for track in before]
        await ears.hears()


@proves("S7")
@pytest.mark.parity("B8")
async def test_a_locked_seat_evicts_and_silences(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears = hand.witness(ann, "bob")
        await harness.within(bob.take_seat(1))
        await ears.hears()
        await harness.within(ann.lock_seat(1))
        await seat_is_gone(hand, bob)
        await ears.silence()
        await hand.granted("bob", lambda grant: not grant.can_publish, "a grant of bob without a source")
        assert ann.room.participants["bob"].tracks == ()
        with refused(Conflict, ErrorCode.SEAT_LOCKED):
            await harness.within(bob.take_seat(1))


@proves("S8")
@pytest.mark.parity("S10", "U9")
async def test_a_muted_seat_is_silent_until_it_is_unmuted(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears = hand.witness(ann, "bob")
        await harness.within(bob.take_seat(1))
        await ears.hears()
        await harness.within(ann.mute_seat(1))
        await ears.silence()
        await hand.granted("bob", lambda grant: MICROPHONE not in grant.publish, "the microphone out of bob's grant")
        with refused(Forbidden):
            await harness.within(bob.set_microphone(True))
        await harness.within(ann.unmute_seat(1))
        await hand.becomes(bob.can_publish, bool, "the grant given back")
        await ears.silence()
        await harness.within(bob.set_microphone(True))
        await ears.hears()


@proves("S9")
@pytest.mark.parity("U22")
async def test_a_late_grant_is_waited_for(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears = hand.witness(ann, "bob")
        await hand.inject(Fault.GRANT_DELAY, hand.room, "bob", seconds=4 * harness.quiet)
        began = harness.clock.monotonic()
        await harness.within(bob.take_seat())
        assert harness.clock.monotonic() - began > 2 * harness.quiet, "the grant was not late"
        await ears.hears()


@proves("S10")
@pytest.mark.parity("U22")
async def test_a_seat_left_before_its_grant_comes_is_never_heard(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears = hand.witness(ann, "bob")
        late = 4 * harness.quiet
        await hand.inject(Fault.GRANT_DELAY, hand.room, "bob", seconds=late)
        waiting = hand.begin(bob.take_seat())
        await hand.becomes(bob.seats, lambda grid: grid.seat_of("bob") is not None, "bob's seat")
        await harness.within(bob.leave_seat())
        with refused(Superseded):
            await harness.within(waiting)
        await harness.pass_time(late)
        await ears.silence()
        await hand.granted("bob", lambda grant: not grant.can_publish, "a grant of bob without a source")


@proves("S11")
@pytest.mark.parity("B5")
async def test_a_grant_that_fails_is_tried_again(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears = hand.witness(ann, "bob")
        await hand.inject(Fault.GRANT_FAILURE, hand.room, "bob", times=2)
        await harness.within(bob.take_seat())
        await ears.hears()


@proves("S12")
@pytest.mark.parity("S10", "U11")
async def test_a_kick_disconnects_and_lets_come_again(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        await harness.within(bob.take_seat(1))
        ears = hand.witness(ann, "bob")
        await ears.hears()
        await harness.within(ann.kick("bob"))
        await hand.ends(bob, EndReason.REMOVED)
        await hand.goes_away(ann, "bob")
        await ears.silence()
        assert ann.seats.value.seat_of("bob") is None
        await harness.within(bob.rejoin())
        await harness.within(bob.take_seat(1))
        await ears.hears()


@proves("S13")
@pytest.mark.parity("S10", "B5")
async def test_who_is_blocked_does_not_come_back(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        saved = await harness.within(hand.engine.execute(JoinRoom(room=hand.room, type=bob.type), actor=Actor("bob")))
        await harness.within(ann.kick("bob", block=True))
        await hand.ends(bob, EndReason.BANNED)
        await hand.goes_away(ann, "bob")
        with refused(Forbidden, ErrorCode.BANNED) as errors:
            await harness.within(bob.rejoin())
        assert errors[0].is_banned
        ticket = JoinTicket(saved.url, saved.token, saved.expires_at)
        try:
            intruder = harness.watch(await harness.connect(ticket))
        except ConnectFailed:
            pass
        else:
            await intruder.end()
        await hand.goes_away(ann, "bob")


@proves("S14")
@pytest.mark.parity("S1")
async def test_backstage_keeps_the_audience_out(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann = await hand.audio_room("ann", as_host=True, seat_count=2, backstage=True)
        assert ann.phase.value is Phase.BACKSTAGE
        await harness.within(ann.take_seat())
        client = await hand.client("bob")
        with refused(Conflict, ErrorCode.ROOM_NOT_LIVE):
            await harness.within(client.join_audio_room(hand.room))
        assert dict(ann.room.participants) == {}
        await harness.within(ann.go_live())
        bob = hand.keep(await harness.within(client.join_audio_room(hand.room)))
        await hand.witness(bob, "ann").hears()


@proves("S15")
@pytest.mark.parity("S1")
async def test_backstage_again_means_silence_until_live_again(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        ears = hand.witness(bob, "ann")
        await harness.within(ann.take_seat())
        await ears.hears()
        await harness.within(ann.stop_live())
        await hand.granted("bob", lambda grant: not grant.subscribe, "a grant of bob without media")
        await ears.silence()
        await harness.within(ann.go_live())
        await ears.hears()


@proves("S16")
@pytest.mark.parity("U11")
async def test_the_same_session_joins_again(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        for _ in range(2):
            ears = hand.witness(ann, "bob")
            await harness.within(bob.take_seat(1))
            await ears.hears()
            await harness.within(bob.leave())
            await hand.ends(bob, EndReason.LEFT)
            await hand.goes_away(ann, "bob")
            await hand.becomes(ann.seats, lambda grid: grid.seat_of("bob") is None, "the seat free again")
            await harness.within(bob.rejoin())
        await hand.becomes(ann.remote_participants, bool, "bob, as the host sees it")


@proves("S17")
@pytest.mark.parity("B9", "T12")
async def test_a_second_device_replaces_the_first(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann = await hand.audio_room("ann", as_host=True, seat_count=2)
        await harness.within(ann.take_seat())
        phone = await hand.audio_room("bob", device_id="phone")
        await hand.witness(phone, "ann").hears()
        laptop = await hand.audio_room("bob", device_id="laptop")
        await hand.ends(phone, EndReason.REPLACED)
        await hand.witness(laptop, "ann").hears()
        await harness.settle()
        assert laptop.connected.value
        assert list(ann.room.participants) == ["bob"]


@proves("S18")
@pytest.mark.parity("U10")
async def test_data_reaches_the_others(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        await harness.eventually(lambda: "bob" in ann.room.participants, what="bob in the media room")
        of_ann, of_bob = hand.hear_of(ann, DataReceived), hand.hear_of(bob, DataReceived)
        await harness.within(ann.send_data(b"from ann"))
        await harness.within(bob.send_data(b"from bob"))
        await harness.eventually(lambda: of_ann and of_bob, what="the data of both")
        await harness.settle()
        assert [(event.sender, event.payload) for event in of_ann] == [("bob", b"from bob")]
        assert [(event.sender, event.payload) for event in of_bob] == [("ann", b"from ann")]


@proves("S19")
@pytest.mark.parity("S10", "T2")
async def test_the_end_of_the_room_disconnects_everybody(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        await harness.within(ann.take_seat())
        await harness.within(ann.end_room())
        for session in (ann, bob):
            await hand.ends(session, EndReason.ROOM_ENDED)

        async def is_gone() -> bool:
            return hand.room not in await harness.control.list_rooms()

        await harness.eventually(is_gone, what="the media room closed")
