"""1:1 calls, from both ends."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.client import UTDCall, UTDCallSession, UTDCallStatus, UTDStreamClient
from utd_core.errors import Conflict, Forbidden, InvalidInput, NotFound, Superseded
from utd_core.media.faults import Fault
from utd_core.model.permission import TrackSource
from utd_core.model.session import SessionState

from .world import World, now, small_camera

MICROPHONE = frozenset({TrackSource.MICROPHONE})
BOTH = MICROPHONE | {TrackSource.CAMERA}
NOTHING: frozenset[TrackSource] = frozenset()

pytestmark = pytest.mark.parity("U12", "U13")


async def ring(caller: UTDCallSession, callee: UTDStreamClient, world: World) -> UTDCall:
    """The caller calls; what the callee's client hears of it."""
    assert callee.identity is not None
    await world.run(caller.start(callee.identity))
    ringing = await world.run(callee.incoming_calls.wait_for(timeout=5.0))
    return ringing[0]


async def talk(world: World, type: str = "audio_call") -> tuple[UTDCallSession, UTDCallSession]:
    """Alice and Bob in a call that is active."""
    alice = await world.caller("alice", type)
    bob_client = await world.client("bob", camera=small_camera)
    bob = await world.keep(bob_client.call_session(type))
    incoming = await ring(alice, bob_client, world)
    await world.run(bob.accept(incoming.call_id))
    await world.run(alice.status.wait_for(lambda status: status is UTDCallStatus.ACTIVE, timeout=5.0))
    return alice, bob


@pytest.mark.parametrize(("type", "sources"), [("audio_call", MICROPHONE), ("video_call", BOTH)])
async def test_a_call_from_ringing_to_its_end_with_both_sides_heard(
    world: World, type: str, sources: frozenset[TrackSource]
) -> None:
    alice = await world.caller("alice", type, name="Alice")
    bob_client = await world.client("bob", camera=small_camera)
    bob = await world.keep(bob_client.call_session(type))
    started = await world.run(alice.start("bob", "Bob", {"topic": "lunch"}))
    assert (started.caller_identity, started.callee_identity, started.callee_name) == ("alice", "bob", "Bob")
    assert (now(alice.status), now(alice.call_id)) == (UTDCallStatus.INITIATING, started.call_id)
    assert now(alice.room.publishing) == sources
    (incoming,) = await world.run(bob_client.incoming_calls.wait_for(timeout=5.0))
    assert (incoming.call_id, incoming.caller_name, incoming.type) == (started.call_id, "Alice", type)
    assert incoming.metadata == {"topic": "lunch"}
    await bob.ringing(incoming.call_id)
    assert now(bob.status) is UTDCallStatus.RINGING
    await world.run(alice.status.wait_for(lambda status: status is UTDCallStatus.RINGING, timeout=5.0))
    accepted = await world.run(bob.accept(incoming.call_id))
    assert accepted.status is UTDCallStatus.ACTIVE
    assert now(bob.room.publishing) == sources
    await world.run(alice.status.wait_for(lambda status: status is UTDCallStatus.ACTIVE, timeout=5.0))
    assert now(bob_client.incoming_calls) == ()
    for listener, speaker in ((alice, "bob"), (bob, "alice")):
        async with listener.frames(speaker) as frames:
            assert any((await world.run(anext(frames))).data)
    await world.run(alice.end())
    assert now(alice.status) is UTDCallStatus.ENDED
    await world.settle()
    for session in (alice, bob):
        assert now(session.status) is UTDCallStatus.ENDED
        assert now(session.state) is SessionState.DISCONNECTED
        assert not now(session.room.connected)
        end = session.ended.value
        assert end is not None
        assert end.reason == "call_ended"
    call = bob.call.value
    assert call is not None
    assert (call.end_reason, call.ended_by) == ("hung_up", "alice")


async def test_the_media_room_of_a_call_holds_two(world: World) -> None:
    alice, _ = await talk(world)
    call = alice.call.value
    assert call is not None
    assert world.backend.server.rooms[call.room_name].max_participants == 2


async def test_unanswered_for_the_ring_timeout_it_is_missed_on_both_sides(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = await world.keep(bob_client.call_session("audio_call"))
    await world.run(alice.start("bob", ring_timeout=30.0))
    (incoming,) = await world.run(bob_client.incoming_calls.wait_for(timeout=5.0))
    await bob.ringing(incoming.call_id)
    await world.clock.advance(29.0)
    assert now(alice.status) is UTDCallStatus.RINGING
    await world.clock.advance(2.0)
    assert (now(alice.status), now(bob.status)) == (UTDCallStatus.MISSED, UTDCallStatus.MISSED)
    assert now(bob_client.incoming_calls) == ()
    assert not now(alice.room.connected)


async def test_rejecting_ends_it_for_the_caller(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = await world.keep(bob_client.call_session("audio_call"))
    incoming = await ring(alice, bob_client, world)
    await bob.reject(incoming.call_id)
    assert now(bob.status) is UTDCallStatus.REJECTED
    await world.settle()
    assert now(alice.status) is UTDCallStatus.REJECTED
    assert now(alice.state) is SessionState.DISCONNECTED
    assert now(bob_client.incoming_calls) == ()


async def test_reporting_busy_ends_it_for_the_caller(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = await world.keep(bob_client.call_session("audio_call"))
    incoming = await ring(alice, bob_client, world)
    await bob.busy(incoming.call_id)
    await world.settle()
    assert (now(alice.status), now(bob.status)) == (UTDCallStatus.BUSY, UTDCallStatus.BUSY)


async def test_a_callee_who_is_in_a_call_is_busy_with_409(world: World) -> None:
    await talk(world)
    carol = await world.caller("carol")
    with pytest.raises(Conflict) as caught:
        await carol.start("bob")
    assert (caught.value.status_code, caught.value.code) == (409, "callee_busy")
    assert now(carol.status) is UTDCallStatus.BUSY
    assert now(carol.call_id) is None
    assert now(carol.state) is SessionState.DISCONNECTED


async def test_one_device_answers_and_the_others_stop_ringing(world: World) -> None:
    alice = await world.caller("alice")
    phone = await world.client("bob", device_id="phone")
    tablet = await world.client("bob", device_id="tablet")
    on_phone = await world.keep(phone.call_session("audio_call"))
    on_tablet = await world.keep(tablet.call_session("audio_call"))
    incoming = await ring(alice, phone, world)
    await world.run(tablet.incoming_calls.wait_for(timeout=5.0))
    await on_phone.ringing(incoming.call_id)
    await on_tablet.ringing(incoming.call_id)
    await world.run(on_phone.accept(incoming.call_id))
    await world.settle()
    assert now(tablet.incoming_calls) == ()
    assert on_tablet.answered_elsewhere
    assert not on_phone.answered_elsewhere
    assert on_tablet.room.local_participant is None
    await on_tablet.end()
    await world.settle()
    assert now(on_phone.status) is UTDCallStatus.ACTIVE
    with pytest.raises(Conflict):
        await on_tablet.accept(incoming.call_id)
    assert now(on_phone.status) is UTDCallStatus.ACTIVE


async def test_the_caller_cancels_before_the_answer(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = await world.keep(bob_client.call_session("audio_call"))
    incoming = await ring(alice, bob_client, world)
    await bob.ringing(incoming.call_id)
    await world.run(alice.end())
    await world.settle()
    call = bob.call.value
    assert call is not None
    assert (call.status, call.end_reason, call.ended_by) == (UTDCallStatus.ENDED, "cancelled", "alice")
    assert now(bob_client.incoming_calls) == ()
    with pytest.raises(Conflict):
        await bob.accept(incoming.call_id)


async def test_the_callee_ends_what_rings(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = await world.keep(bob_client.call_session("audio_call"))
    incoming = await ring(alice, bob_client, world)
    await bob.ringing(incoming.call_id)
    await bob.end()
    assert now(bob.status) is UTDCallStatus.REJECTED


async def test_ending_tolerates_what_is_over_what_never_began_and_a_second_time(world: World) -> None:
    alice, bob = await talk(world)
    fresh = await world.caller("carol")
    await fresh.end()
    await world.run(alice.end())
    await alice.end()
    await bob.end()
    await world.settle()
    assert (now(alice.status), now(bob.status)) == (UTDCallStatus.ENDED, UTDCallStatus.ENDED)


async def test_both_sides_hang_up_in_the_same_moment(world: World) -> None:
    for _ in range(5):
        alice, bob = await talk(world)
        await world.run(asyncio.gather(alice.end(), bob.end()))
        assert (now(alice.status), now(bob.status)) == (UTDCallStatus.ENDED, UTDCallStatus.ENDED)
        await alice.aclose()
        await bob.aclose()


async def test_end_and_reject_at_once_end_it_once(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = await world.keep(bob_client.call_session("audio_call"))
    incoming = await ring(alice, bob_client, world)
    await world.run(asyncio.gather(alice.end(), bob.reject(incoming.call_id), return_exceptions=True))
    await world.settle()
    assert now(alice.status) in (UTDCallStatus.ENDED, UTDCallStatus.REJECTED)
    call = alice.call.value
    assert call is not None
    assert call.ended_by in ("alice", "bob")


async def test_ending_while_it_starts_leaves_no_call_behind(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    for turns in range(40):
        starting = asyncio.ensure_future(alice.start("bob"))
        for _ in range(turns):
            await asyncio.sleep(0)
        await world.run(alice.end())
        try:
            await starting
        except Superseded:
            pass
        else:
            assert now(alice.status) is UTDCallStatus.ENDED
        await world.settle()
        assert now(bob_client.incoming_calls) == ()
        assert now(alice.room.publishing) == NOTHING
    assert world.engine.statistics().calls == 0


async def test_cancelling_a_start_at_every_await_point_leaves_no_call_behind(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    for turns in range(1, 60):
        starting = asyncio.ensure_future(alice.start("bob"))
        for _ in range(turns):
            await asyncio.sleep(0)
        was_done = starting.done()
        starting.cancel()
        if not was_done:
            with pytest.raises(asyncio.CancelledError):
                await starting
        else:
            await alice.end()
        await world.settle()
        assert now(bob_client.incoming_calls) == ()
        assert alice.state.value in (SessionState.IDLE, SessionState.DISCONNECTED)
        assert world.engine.statistics().calls == 0
        if was_done:
            break
    else:
        pytest.fail("starting takes more turns; look at more of them")


async def test_a_call_that_is_rejected_while_it_starts_is_no_error(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = await world.keep(bob_client.call_session("audio_call"))

    async def reject(calls: tuple[UTDCall, ...]) -> None:
        for call in calls:
            await bob.reject(call.call_id)

    bob_client.incoming_calls.subscribe(reject)
    started = await world.run(alice.start("bob"))
    await world.settle()
    assert started.call_id == now(alice.call_id)
    assert now(alice.status) is UTDCallStatus.REJECTED


async def test_a_session_makes_one_call_after_the_other_and_only_one_at_once(world: World) -> None:
    alice, bob = await talk(world)
    with pytest.raises(Conflict) as caught:
        await alice.start("carol")
    assert caught.value.code == "already_joined"
    assert now(alice.status) is UTDCallStatus.ACTIVE
    await world.run(bob.end())
    await world.settle()
    carol = await world.client("carol")
    await ring(alice, carol, world)
    assert now(alice.status) is UTDCallStatus.INITIATING


async def test_a_start_that_is_refused_does_not_lose_sight_of_the_call_that_rings(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = await world.keep(bob_client.call_session("audio_call"))
    incoming = await ring(alice, bob_client, world)
    await bob.ringing(incoming.call_id)
    with pytest.raises(Conflict) as caught:
        await bob.start("carol")
    assert caught.value.code == "already_in_call"
    assert now(bob.status) is UTDCallStatus.RINGING
    await world.run(alice.end())
    await world.settle()
    assert now(bob.status) is UTDCallStatus.ENDED
    await world.client("carol")
    started = await world.run(bob.start("carol"))
    assert now(bob.call_id) == started.call_id


async def test_bad_calls_are_refused(world: World) -> None:
    alice = await world.caller("alice")
    with pytest.raises(InvalidInput) as caught:
        await alice.start("alice")
    assert caught.value.code == "call_to_self"
    for timeout in (4.9, 180.1):
        with pytest.raises(InvalidInput):
            await alice.start("bob", ring_timeout=timeout)
    for operation in (alice.accept, alice.ringing, alice.reject, alice.busy):
        with pytest.raises(NotFound):
            await operation("no-such-call")
    assert now(alice.status) is None


async def test_a_video_call_without_a_camera_is_refused_before_anybody_rings(world: World) -> None:
    alice = await world.caller("alice", "video_call", camera=None)
    bob = await world.client("bob")
    with pytest.raises(InvalidInput, match="camera"):
        await alice.start("bob")
    assert now(bob.incoming_calls) == ()


async def test_only_the_parties_see_a_call(world: World) -> None:
    alice, _ = await talk(world)
    mallory = await world.caller("mallory")
    call_id = alice.call_id.value
    assert call_id is not None
    with pytest.raises(NotFound):
        await mallory.accept(call_id)


async def test_the_callee_may_not_publish_before_it_has_answered(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = await world.keep(bob_client.call_session("audio_call"))
    incoming = await ring(alice, bob_client, world)
    await bob.ringing(incoming.call_id)
    with pytest.raises((Forbidden, Conflict)):
        await bob.set_microphone(True)


@pytest.mark.parametrize("fault", [Fault.SERVER_LEAVE, Fault.TOKEN_EXPIRY])
async def test_a_lost_connection_comes_back_into_the_call(world: World, fault: Fault) -> None:
    alice, bob = await talk(world)
    call = alice.call.value
    assert call is not None
    await world.fault(fault, call.room_name, "alice")
    await world.until(lambda: alice.connected.value and alice.room.publishing.value == MICROPHONE)
    assert now(alice.status) is UTDCallStatus.ACTIVE
    async with bob.frames("alice") as frames:
        assert any((await world.run(anext(frames))).data)


async def test_a_call_that_rang_before_the_client_came_is_there(world: World) -> None:
    alice = await world.caller("alice")
    await world.run(alice.start("bob"))
    bob = await world.client("bob")
    assert [call.caller_identity for call in now(bob.incoming_calls)] == ["alice"]


async def test_closing_a_session_hangs_up(world: World) -> None:
    alice, bob = await talk(world)
    await world.run(alice.aclose())
    await world.settle()
    assert now(bob.status) is UTDCallStatus.ENDED


async def test_closing_a_session_that_only_rings_answers_nothing(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = bob_client.call_session("audio_call")
    incoming = await ring(alice, bob_client, world)
    await bob.ringing(incoming.call_id)
    await bob.aclose()
    await world.settle()
    assert now(alice.status) is UTDCallStatus.RINGING


async def test_a_call_ends_with_its_longest_duration(world: World) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = await world.keep(bob_client.call_session("audio_call"))
    call = await world.run(alice.start("bob", max_duration=60.0))
    await world.run(bob.accept(call.call_id))
    await world.clock.advance(61.0)
    ended = alice.call.value
    assert ended is not None
    assert (ended.status, ended.end_reason) == (UTDCallStatus.ENDED, "duration_limit")
