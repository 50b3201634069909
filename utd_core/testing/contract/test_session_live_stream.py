"""Live streams, end to end: S20 to S26."""

from __future__ import annotations

import pytest

from ...client import UTDLiveStreamSession
from ...errors import Forbidden
from ...model.permission import TrackSource
from .harness import Harness
from .proof import proves, refused
from .stage_hand import StageHand

MICROPHONE, CAMERA = TrackSource.MICROPHONE, TrackSource.CAMERA


async def host_and_viewer(hand: StageHand) -> tuple[UTDLiveStreamSession, UTDLiveStreamSession]:
    """Ann, the host, and bob, who watches."""
    return await hand.live_stream("ann", as_host=True), await hand.live_stream("bob")


async def on_stage(hand: StageHand, host: UTDLiveStreamSession, viewer: UTDLiveStreamSession, harness: Harness) -> None:
    """The host brings a viewer on stage, who opens microphone and camera."""
    await harness.within(host.invite_to_stage(viewer.identity))
    await hand.becomes(
        viewer.stage,
        lambda stage: any(member.identity == viewer.identity for member in stage),
        f"{viewer.identity} on stage",
    )
    await hand.becomes(
        viewer.room.grant, lambda grant: {MICROPHONE, CAMERA} <= grant.publish, "the grant of a co-publisher"
    )
    await harness.within(viewer.set_microphone(True))
    await harness.within(viewer.set_camera(True))


@proves("S20")
@pytest.mark.parity("U5", "U14")
async def test_the_host_is_seen_and_heard(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_viewer(hand)
        witness = hand.witness(bob, "ann")
        await harness.within(ann.go_live())
        await witness.hears()
        await witness.sees()
        assert [member.identity for member in bob.stage.value] == ["ann"]


@proves("S21")
@pytest.mark.parity("U14")
async def test_a_stream_without_video_is_heard(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_viewer(hand)
        witness = hand.witness(bob, "ann")
        await harness.within(ann.go_live(with_video=False))
        await witness.hears()
        assert [track.source for track in bob.room.participants["ann"].tracks] == [MICROPHONE]


@proves("S22")
@pytest.mark.parity("U9", "U20")
async def test_a_viewer_publishes_nothing(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_viewer(hand)
        await hand.granted("bob", lambda grant: grant.subscribe and not grant.can_publish, "the grant of a viewer")
        for attempt in (bob.set_microphone, bob.set_camera, bob.room.set_microphone, bob.room.set_camera):
            with refused(Forbidden):
                await harness.within(attempt(True))
        await harness.eventually(lambda: "bob" in ann.room.participants, what="bob in the media room")
        await harness.settle()
        assert ann.room.participants["bob"].tracks == ()


@proves("S23")
@pytest.mark.parity("U14", "T6")
async def test_an_invited_viewer_co_publishes(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_viewer(hand)
        await harness.within(ann.go_live())
        by_ann, by_bob = hand.witness(ann, "bob"), hand.witness(bob, "ann")
        await on_stage(hand, ann, bob, harness)
        for witness in (by_ann, by_bob):
            await witness.hears()
            await witness.sees()


@proves("S24")
@pytest.mark.parity("U14", "T6")
async def test_who_is_removed_from_the_stage_is_dark_and_silent(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_viewer(hand)
        await harness.within(ann.go_live())
        by_ann, by_bob = hand.witness(ann, "bob"), hand.witness(bob, "ann")
        await on_stage(hand, ann, bob, harness)
        await by_ann.hears()
        await by_ann.sees()
        await harness.within(ann.remove_from_stage("bob"))
        await by_ann.silence()
        await by_ann.darkness()
        await hand.granted("bob", lambda grant: grant.subscribe and not grant.can_publish, "the grant of a viewer")
        assert ann.room.participants["bob"].tracks == ()
        await by_bob.hears()
        await by_bob.sees()


@proves("S25")
@pytest.mark.parity("U14", "B7")
async def test_an_approved_stage_request_opens_the_devices(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_viewer(hand)
        witness = hand.witness(ann, "bob")
        asked = await harness.within(bob.request_stage())
        await hand.becomes(
            ann.requests, lambda requests: any(one.id == asked.id for one in requests), "the request at the host"
        )
        await harness.within(ann.approve_stage(asked.id))
        await witness.hears()
        await witness.sees()


@proves("S26")
@pytest.mark.parity("U14")
async def test_co_publishers_are_each_seen_and_heard_as_themselves(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_viewer(hand)
        cyd, dan = await hand.live_stream("cyd"), await hand.live_stream("dan")
        await harness.within(ann.go_live())
        for viewer in (bob, cyd):
            await on_stage(hand, ann, viewer, harness)
        for witness in [hand.witness(dan, name) for name in ("ann", "bob", "cyd")] + [hand.witness(cyd, "bob")]:
            await witness.hears()
            await witness.sees()
        assert [member.identity for member in dan.stage.value] == ["ann", "bob", "cyd"]
