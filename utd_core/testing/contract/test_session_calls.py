"""Calls of two, end to end: S27 to S38."""

from __future__ import annotations

import pytest

from ...client import EndReason, UTDCallStatus, UTDStreamType
from ...errors import Conflict, ConnectFailed, ErrorCode
from .harness import EVERYTHING, Harness
from .proof import proves, refused
from .stage_hand import StageHand

AUDIO, VIDEO = UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL
RING_TIMEOUT = 5.0
"""Seconds; the shortest there is."""


@proves("S27")
@pytest.mark.parity("U3", "U4", "U12")
async def test_both_sides_of_an_audio_call_hear_each_other(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(AUDIO, "ann", "bob")
        await line.talk()
        await line.hear_each_other()


@proves("S28")
@pytest.mark.parity("U12")
async def test_both_sides_of_a_video_call_hear_and_see_each_other(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(VIDEO, "ann", "bob")
        await line.talk()
        await line.hear_each_other()
        await line.see_each_other()


@proves("S29")
@pytest.mark.parity("U12", "U13")
async def test_a_callee_connects_by_accepting(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(AUDIO, "ann", "bob")
        call_id = await line.ring()
        assert line.caller.status.value is UTDCallStatus.INITIATING
        await harness.within(line.callee.ringing(call_id))
        await line.shows(line.caller, UTDCallStatus.RINGING)
        await harness.settle()
        assert line.caller.connected.value
        assert not line.callee.room.connected.value
        assert dict(line.caller.room.participants) == {}
        await harness.within(line.callee.accept(call_id))
        await line.shows(line.caller, UTDCallStatus.ACTIVE)
        await line.hear_each_other()
        assert list(line.caller.room.participants) == ["bob"]


@proves("S30")
@pytest.mark.parity("U12")
async def test_a_third_cannot_connect_to_a_call(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(AUDIO, "ann", "bob")
        await line.talk()
        call = line.caller.call.value
        assert call is not None
        ticket = await harness.ticket(call.room_name, "mal", EVERYTHING)
        with refused(ConnectFailed):
            await harness.connect(ticket)
        await line.hear_each_other()


@pytest.mark.parametrize("side", ["caller", "callee"])
@proves("S31")
@pytest.mark.parity("U12")
async def test_either_sides_end_disconnects_both(harness: Harness, side: str) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(AUDIO, "ann", "bob")
        await line.talk()
        ender = line.caller if side == "caller" else line.callee
        await harness.within(ender.end())
        for session in (line.caller, line.callee):
            await line.hung_up(session, UTDCallStatus.ENDED)
            call = session.call.value
            assert call is not None
            assert (call.end_reason, call.ended_by) == ("hung_up", ender.identity)
        await harness.within(line.callee.end())


@proves("S32")
@pytest.mark.parity("U12", "U13")
async def test_a_rejected_call_disconnects_the_caller(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(AUDIO, "ann", "bob")
        call_id = await line.ring()
        await harness.within(line.callee.reject(call_id))
        await line.hung_up(line.caller, UTDCallStatus.REJECTED)
        await line.falls_silent(line.callee_client)


@proves("S33")
@pytest.mark.parity("U12")
async def test_a_cancelled_call_rings_no_more(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(AUDIO, "ann", "bob")
        call_id = await line.ring()
        await harness.within(line.callee.ringing(call_id))
        await harness.within(line.caller.end())
        await line.hung_up(line.caller, UTDCallStatus.ENDED)
        await line.falls_silent(line.callee_client)
        await line.shows(line.callee, UTDCallStatus.ENDED)
        with refused(Conflict):
            await harness.within(line.callee.accept(call_id))


@proves("S34")
@pytest.mark.parity("U13", "B3")
async def test_an_unanswered_call_is_missed(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(AUDIO, "ann", "bob")
        call_id = await line.ring(ring_timeout=RING_TIMEOUT)
        await harness.within(line.callee.ringing(call_id))
        await hand.becomes(line.callee.status, lambda status: status is UTDCallStatus.MISSED, "the end of the ringing")
        await line.hung_up(line.caller, UTDCallStatus.MISSED)
        await line.falls_silent(line.callee_client)
        call = line.caller.call.value
        assert call is not None
        assert call.ended_at is not None
        assert call.ended_at - call.created_at >= RING_TIMEOUT


@proves("S35")
@pytest.mark.parity("U13")
async def test_a_callee_in_a_call_is_busy(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(AUDIO, "ann", "bob")
        await line.talk()
        third = hand.keep((await hand.client("cyd")).call_session(AUDIO))
        with refused(Conflict, ErrorCode.CALLEE_BUSY):
            await harness.within(third.start("bob"))
        assert third.status.value is UTDCallStatus.BUSY
        assert not third.room.connected.value
        await line.hear_each_other()
        assert line.callee.status.value is UTDCallStatus.ACTIVE


@proves("S36")
@pytest.mark.parity("U13", "G3")
async def test_one_device_answers_and_the_others_stop_ringing(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(AUDIO, "ann", "bob")
        tablet_client = await hand.client("bob", device_id="tablet")
        tablet = hand.keep(tablet_client.call_session(AUDIO))
        call_id = await line.ring()
        await line.rings(tablet_client, call_id)
        await harness.within(tablet.ringing(call_id))
        await harness.within(line.callee.accept(call_id))
        await line.falls_silent(tablet_client)
        await line.falls_silent(line.callee_client)
        await line.shows(tablet, UTDCallStatus.ACTIVE)
        assert tablet.answered_elsewhere
        assert not line.callee.answered_elsewhere
        with refused(Conflict):
            await harness.within(tablet.accept(call_id))
        await line.hear_each_other()
        assert not tablet.room.connected.value


@proves("S37")
@pytest.mark.parity("U11", "U12")
async def test_the_same_sessions_call_again_in_the_other_direction(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(AUDIO, "ann", "bob")
        first = await line.talk()
        await line.hear_each_other()
        await harness.within(line.caller.leave())
        for session in (line.caller, line.callee):
            await hand.ends(session, EndReason.CALL_ENDED)
        back = line.reversed()
        second = await back.talk()
        assert second != first
        await back.hear_each_other()


@proves("S38")
@pytest.mark.parity("U12")
async def test_the_room_of_a_call_that_is_over_is_closed(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        line = await hand.telephone(AUDIO, "ann", "bob")
        await line.talk()
        call = line.caller.call.value
        assert call is not None
        assert call.room_name in await harness.within(harness.control.list_rooms())
        await harness.within(line.callee.end())

        async def is_closed() -> bool:
            return call.room_name not in await harness.control.list_rooms()

        await harness.eventually(is_closed, what="the media room closed")
