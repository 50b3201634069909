"""What is said of participants, on the wire: within its bounds, and not to those who do not know it."""

from __future__ import annotations

import pytest

from utd_core.media.arguments import MAX_ATTRIBUTES, MAX_ATTRIBUTES_BYTES, MAX_METADATA_BYTES
from utd_core.media.attributes import Attributes
from utd_core.media.profiles import Profile
from utd_core.media.signalling import MAX_SIGNAL_BYTES
from utd_core.model.permission import Grant, TrackSource
from utd_webrtc_p2p.protocol import (
    GrantBody,
    Hello,
    Joined,
    PersonBody,
    ProfileBody,
    TrackBody,
    Updated,
    Welcome,
    read_from_control,
)

from .world import ROOM, stage

ATTRIBUTES = {"image": "ann.png"}


def largest_profile() -> Profile:
    """What has the most bytes in JSON: everything has to be escaped."""
    each = MAX_ATTRIBUTES_BYTES // MAX_ATTRIBUTES
    attributes = {f"{number:02}": '"' * (each - 2) for number in range(MAX_ATTRIBUTES)}
    return Profile('"' * 1_000, '"' * MAX_METADATA_BYTES, Attributes(attributes))


def test_the_largest_welcome_fits_into_one_message() -> None:
    profile = ProfileBody.of(largest_profile())
    tracks = tuple(
        TrackBody(id=f"TR_{number:016x}", source=source, name='"' * 1_000) for number, source in enumerate(TrackSource)
    )
    grant = GrantBody.of(Grant(publish=frozenset(TrackSource)))
    name = "\U0001f399" * 193
    person = PersonBody(
        identity=name, name='"' * 1_000, profile=profile, grant=grant, tracks=tracks, joined_at=1_764_000_000.123456
    )
    welcome = Welcome(
        stay="s" * 32, room=name, identity=name, profile=profile, grant=grant, participants=(person,), tracks=tracks
    )
    message = welcome.encode()
    assert len(message) < MAX_SIGNAL_BYTES
    assert read_from_control(message) == welcome


async def test_the_largest_profile_fits_into_a_ticket() -> None:
    profile = largest_profile()
    async with stage() as here:
        ticket = await here.backend.control.issue_join(
            ROOM,
            "ann",
            grant=Grant(),
            name=profile.name,
            metadata=profile.metadata,
            attributes=profile.attributes,
        )
        line = await here.line()
        line.say(Hello(token=ticket.token))
        (welcome,) = line.of(Welcome)
        assert welcome.profile is not None
        assert welcome.profile.profile() == profile


@pytest.mark.parametrize("version", [1, 2])
async def test_who_speaks_version_1_is_told_nothing_of_profiles(version: int) -> None:
    async with stage() as here:
        control = here.backend.control
        ticket = await control.issue_join(ROOM, "ann", grant=Grant(), name="Ann", attributes=ATTRIBUTES)
        page = await here.line()
        page.say(Hello(version=version, token=ticket.token))
        await control.update_participant(ROOM, "ann", metadata="m")
        other = await control.issue_join(ROOM, "bob", grant=Grant(), name="Bob", attributes=ATTRIBUTES)
        line = await here.line()
        line.say(Hello(token=other.token))
        (welcome,), (joined,) = page.of(Welcome), page.of(Joined)
        knows = version > 1
        assert (welcome.version, welcome.profile is not None) == (version, knows)
        assert joined.participant.name == "Bob"
        assert (joined.participant.profile is not None) is knows
        assert bool(page.of(Updated)) is knows
        assert not page.is_hung_up
