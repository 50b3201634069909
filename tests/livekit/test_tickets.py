"""What a ticket lets through: its grant, and nothing by another name."""

from __future__ import annotations

import asyncio
import itertools
import uuid

import jwt
import pytest
from livekit import api, rtc
from livekit.rtc.participant import PublishTrackError

from utd_core.model.permission import Grant, TrackSource
from utd_livekit.backend import LiveKitBackend
from utd_livekit.moderation import Removals
from utd_livekit.permissions import claims_of, grant_of, permission_of
from utd_livekit.server.local import LocalServer
from utd_livekit.sources import FROM_SERVER

SECRET = "a-secret-of-at-least-thirty-two-bytes"

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


async def test_a_ticket_says_its_grant_and_nothing_more() -> None:
    settings = {"url": "ws://127.0.0.1:9", "api_key": "key", "api_secret": SECRET, "prefix": "shop-"}
    grant = Grant(publish=frozenset({TrackSource.MICROPHONE}), publish_data=True)
    async with LiveKitBackend(settings) as backend:
        ticket = await backend.control.issue_join(
            "lobby", "ann", grant=grant, name="Ann", ttl=60.0, metadata="m", attributes={"a": "b"}
        )
    claims = jwt.decode(ticket.token, SECRET, algorithms=["HS256"])
    assert claims["video"] == {
        "roomJoin": True,
        "room": "shop-lobby",
        "canPublish": True,
        "canSubscribe": True,
        "canPublishData": True,
        "canPublishSources": ["microphone"],
        "canUpdateOwnMetadata": False,
    }
    assert (claims["sub"], claims["name"], claims["metadata"]) == ("ann", "Ann", "m")
    assert claims["attributes"].keys() == {"a", "utd.issued"}
    assert claims["exp"] - claims["nbf"] == pytest.approx(60, abs=1)
    assert claims.keys() == {"video", "sub", "name", "metadata", "attributes", "iss", "nbf", "exp"}


async def test_a_ticket_of_the_moment_of_a_removal_is_from_after_it() -> None:
    now, removals = 1_795_280_000.123_456_7, Removals()
    removals.remember("lobby", "ann", now)

    def comes_back(issued: float) -> bool:
        who = api.ParticipantInfo(identity="ann", attributes=Removals.attributes(issued))
        return removals.is_back("lobby", who)

    assert comes_back(now - 1e-6)
    assert not comes_back(now)


@pytest.mark.heavy
async def test_deployments_with_prefixes_share_a_server_and_see_only_their_own(server: LocalServer) -> None:
    await asyncio.to_thread(server.start)
    settings = {**server.settings, "webhooks": ""}
    async with (
        LiveKitBackend({**settings, "prefix": "shop-"}) as shop,
        LiveKitBackend({**settings, "prefix": "school-"}) as school,
    ):
        for backend in (shop, school):
            await backend.control.create_room("lobby")
            assert await backend.control.list_rooms() == ["lobby"]
        async with await shop.connect(await shop.control.issue_join("lobby", "ann", grant=Grant())) as ann:
            assert ann.room == "lobby"
            assert [who.identity for who in await shop.control.list_participants("lobby")] == ["ann"]
            assert await school.control.list_participants("lobby") == []
            await school.control.close_room("lobby")
            assert await shop.control.list_rooms() == ["lobby"]
        await shop.control.close_room("lobby")


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
