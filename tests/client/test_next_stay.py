"""A session whose stay is over for the application can be used again at once."""

from __future__ import annotations

import asyncio

from utd_core import UTDCallStatus
from utd_core.client import Phase
from utd_core.testing import MakeClient, VirtualClock


async def test_the_next_call_starts_the_moment_the_last_one_is_missed(
    utd_client: MakeClient, utd_clock: VirtualClock
) -> None:
    async with utd_client("ann") as ann, ann.call_session("audio_call") as session:
        await session.start("bob", ring_timeout=30)
        waiting = asyncio.create_task(session.status.wait_for(lambda status: status is UTDCallStatus.MISSED))
        await utd_clock.advance_until(waiting.done)
        call = await session.start("cid")
        assert session.connected.value
        assert session.call.value is not None
        assert session.call.value.call_id == call.call_id


async def test_the_callee_answers_the_next_call_the_moment_the_other_side_hung_up(utd_client: MakeClient) -> None:
    async with (
        utd_client("ann") as ann,
        utd_client("eve") as eve,
        utd_client("bob") as bob,
        ann.call_session("audio_call") as first,
        eve.call_session("audio_call") as second,
        bob.call_session("audio_call") as desk,
    ):
        await desk.accept((await first.start("bob")).call_id)
        hanging_up = asyncio.create_task(first.end())
        await desk.status.wait_for(lambda status: status is UTDCallStatus.ENDED)
        await hanging_up
        await desk.accept((await second.start("bob")).call_id)
        assert desk.status.value is UTDCallStatus.ACTIVE


async def test_a_host_makes_the_room_anew_the_moment_it_has_ended(utd_client: MakeClient) -> None:
    async with await utd_client("ann").join_audio_room("lobby", as_host=True) as room:
        ending = asyncio.create_task(room.end_room())
        await room.phase.wait_for(lambda phase: phase is Phase.ENDED)
        await room.rejoin()
        await ending
        assert room.phase.value is Phase.LIVE
        assert room.connected.value
