"""The server decides, whatever a client says."""

from __future__ import annotations

import pytest

from utd_core.errors import Closed, Forbidden, NotFound, PublishRefused
from utd_core.media.events import (
    GrantChanged,
    LocalTrackEnded,
    ParticipantLeft,
    TrackPublished,
    TrackSubscribed,
    TrackUnpublished,
    TrackUnsubscribed,
)
from utd_core.model.permission import Grant, TrackSource

from .stage import AUDIO, CAMERA, EVERYTHING, LISTENER, MICROPHONE, ROOM, SPEAKER, VIDEO, of, seen, sound, stage


async def test_a_lying_client_cannot_publish() -> None:
    async with stage() as it:
        liar, bob = await it.join("liar", LISTENER), await it.join("bob")
        liar._grant = EVERYTHING
        with pytest.raises(PublishRefused, match="does not hold 'microphone'"):
            await liar.publish(AUDIO)
        with pytest.raises(PublishRefused):
            it.server.tracks.publish(liar.native, AUDIO)
        assert of(TrackPublished, seen(bob)) == []
        assert it.server.rooms[ROOM].participants["liar"].tracks == ()


async def test_a_lying_client_cannot_send_data_nor_subscribe() -> None:
    async with stage() as it:
        ann = await it.join("ann")
        track = await it.publish(ann)
        liar = await it.join("liar", Grant(subscribe=False, publish_data=False))
        liar._grant = EVERYTHING
        with pytest.raises(Forbidden):
            await liar.send_data(b"psst")
        with pytest.raises(Forbidden):
            await liar.set_subscribed(track.info.id, True)
        assert it.server.rooms[ROOM].participants["liar"].subscriptions == {}
        assert not len(ann.events) or of(TrackSubscribed, seen(ann)) == []


async def test_frames_of_a_revoked_track_flow_no_more_even_before_the_client_hears_of_it() -> None:
    async with stage(latency_ms=100) as it:
        ann, bob, track = await it.pair()
        await it.clock.advance(0.3)
        reader = bob.read(track.info.id)
        await it.control.apply_grant(ROOM, "ann", LISTENER)
        await track.write(sound())
        assert it.server.rooms[ROOM].participants["ann"].tracks == ()
        assert track.statistics().dropped == 1
        await it.clock.advance(0.3)
        with pytest.raises(Closed):
            await track.write(sound())
        assert [frame async for frame in reader] == []
        assert ann.grant == LISTENER


async def test_a_revoked_publisher_is_told_and_so_are_the_others_and_a_new_grant_works() -> None:
    async with stage() as it:
        ann, bob, track = await it.pair()
        seen(ann), seen(bob)
        await it.control.apply_grant(ROOM, "ann", LISTENER)
        assert seen(ann) == [GrantChanged(LISTENER), LocalTrackEnded(track.info)]
        assert seen(bob) == [TrackUnsubscribed("ann", track.info), TrackUnpublished("ann", track.info)]
        with pytest.raises(PublishRefused):
            await ann.publish(AUDIO)
        await it.control.apply_grant(ROOM, "ann", SPEAKER)
        again = await it.publish(ann)
        assert again.info.id != track.info.id
        reader = bob.read(again.info.id)
        await again.write(sound(7))
        assert await anext(reader) == sound(7)


async def test_taking_one_source_leaves_the_other() -> None:
    async with stage() as it:
        ann = await it.join("ann")
        voice, face = await it.publish(ann), await it.publish(ann, VIDEO)
        await it.control.apply_grant(ROOM, "ann", Grant(publish=frozenset({CAMERA})))
        assert [track.info for track in it.server.rooms[ROOM].participants["ann"].tracks] == [face.info]
        assert of(LocalTrackEnded, seen(ann)) == [LocalTrackEnded(voice.info)]


async def test_the_grant_in_force_applied_again_tells_nobody() -> None:
    async with stage() as it:
        ann, bob, _ = await it.pair()
        seen(ann), seen(bob)
        await it.control.apply_grant(ROOM, "ann", Grant(publish=frozenset(TrackSource)))
        assert seen(ann) == seen(bob) == []


async def test_others_know_the_new_grant() -> None:
    async with stage() as it:
        await it.join("ann")
        bob = await it.join("bob")
        await it.control.apply_grant(ROOM, "ann", SPEAKER)
        assert bob.participants["ann"].grant == SPEAKER


async def test_without_subscribe_no_track_comes_and_with_it_all_do() -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        await it.control.apply_grant(ROOM, "bob", Grant(subscribe=False))
        with pytest.raises(NotFound):
            bob.read(track.info.id)
        await it.control.apply_grant(ROOM, "bob", Grant(subscribe=True))
        bob.read(track.info.id)


async def test_what_a_participant_refused_stays_refused_through_a_change_of_grant() -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        await bob.set_subscribed(track.info.id, False)
        await it.control.apply_grant(ROOM, "bob", Grant(subscribe=False))
        await it.control.apply_grant(ROOM, "bob", Grant(subscribe=True))
        with pytest.raises(NotFound):
            bob.read(track.info.id)


async def test_an_unknown_track_or_ones_own_cannot_be_subscribed() -> None:
    async with stage() as it:
        ann, _, track = await it.pair()
        for track_id in ("TR_nowhere", track.info.id):
            with pytest.raises(NotFound):
                await ann.set_subscribed(track_id, True)


async def test_a_removed_participant_can_do_nothing_though_its_client_does_not_know_yet() -> None:
    async with stage(latency_ms=100) as it:
        ann, bob, track = await it.pair()
        await it.clock.advance(0.3)
        await it.control.remove_participant(ROOM, "ann")
        await track.write(sound())
        with pytest.raises(PublishRefused):
            it.server.tracks.publish(ann.native, AUDIO)
        with pytest.raises(NotFound):
            it.server.tracks.set_subscribed(ann.native, track.info.id, True)
        await it.clock.advance(0.3)
        assert [event.identity for event in of(ParticipantLeft, seen(bob))] == ["ann"]


async def test_a_second_track_of_a_source_replaces_the_first() -> None:
    async with stage() as it:
        ann, bob, first = await it.pair()
        second = await it.publish(ann)
        with pytest.raises(Closed):
            await first.write(sound())
        assert [track.id for track in bob.participants["ann"].tracks] == [second.info.id]
        assert first.info.source is second.info.source is MICROPHONE
        await first.unpublish()
        assert len(it.server.rooms[ROOM].participants["ann"].tracks) == 1
