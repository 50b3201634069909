"""What a ticket lets through: its grant, and nothing by another name."""

from __future__ import annotations

import asyncio
import itertools
import uuid

import pytest
from livekit import rtc
from livekit.rtc.participant import PublishTrackError

from utd_core.model.permission import Grant, TrackSource
from utd_livekit.backend import LiveKitBackend
from utd_livekit.permissions import claims_of, grant_of, permission_of
from utd_livekit.sources import FROM_SERVER

GRANTS = [
    Grant(subscribe, frozenset(sources), data)
    for subscribe, data in itertools.product((True, False), repeat=2)
    for count in range(len(TrackSource) + 1)
    for sources in itertools.combinations(TrackSource, count)
]


def test_a_grant_is_read_as_it_was_written() -> None:
    assert [grant for grant in GRANTS if grant_of(permission_of(grant), FROM_SERVER) != grant] == []


def test_a_ticket_names_the_sources_of_its_grant_and_never_none_at_all() -> None:
    for grant in GRANTS:
        named = claims_of("room", grant).can_publish_sources
        assert named
        assert set(named) - {"none"} == {source.value for source in grant.publish}


@pytest.mark.heavy
async def test_a_ticket_without_sources_publishes_nothing_under_any_source(backend: LiveKitBackend) -> None:
    room, sdk = f"room-{uuid.uuid4().hex[:8]}", rtc.Room()
    await backend.control.create_room(room)
    ticket = await backend.control.issue_join(room, "raw", grant=Grant())
    await sdk.connect(ticket.url, ticket.token)
    sources = [rtc.AudioSource(48_000, 1) for _ in rtc.TrackSource.values()]
    refused = await asyncio.gather(
        *(
            sdk.local_participant.publish_track(track, rtc.TrackPublishOptions(source=kind))
            for kind, source in zip(rtc.TrackSource.values(), sources, strict=True)
            for track in [rtc.LocalAudioTrack.create_audio_track("raw", source)]
        ),
        return_exceptions=True,
    )
    assert [type(each) for each in refused] == [PublishTrackError] * len(sources)
    (raw,) = await backend.control.list_participants(room)
    assert raw.grant == Grant()
    assert raw.tracks == ()
    await sdk.disconnect()
    for source in sources:
        await source.aclose()
