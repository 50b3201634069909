"""A grant, in LiveKit's words and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livekit import api

from utd_core.model.permission import Grant, TrackSource

from .sources import NO_SOURCE, SERVER_SOURCES, SOURCE_CLAIMS


def permission_of(grant: Grant) -> api.ParticipantPermission:
    """The whole permission that a participant has with this grant."""
    return api.ParticipantPermission(
        can_subscribe=grant.subscribe,
        can_publish=grant.can_publish,
        can_publish_data=grant.publish_data,
        # Always named: with an empty list LiveKit lets everything be published.
        can_publish_sources=[SERVER_SOURCES[source] for source in sorted(grant.publish)],  # type: ignore[misc]  # numbers
    )


def grant_of(permission: Any, sources: Mapping[int, TrackSource]) -> Grant:
    """The grant that a permission is; `sources`: what the numbers stand for (the two halves count differently)."""
    named = permission.can_publish_sources
    publish = frozenset(sources[number] for number in named if number in sources) if named else frozenset(TrackSource)
    return Grant(
        permission.can_subscribe, publish if permission.can_publish else frozenset(), permission.can_publish_data
    )


def claims_of(room: str, grant: Grant) -> api.VideoGrants:
    """What a join token says.

    Always that something may be published, if only what does not exist: so the client opens the way for it when it
    joins. Where the token says no, each thing that is published later on waits 0.15 s and more for that.
    """
    return api.VideoGrants(
        room_join=True,
        room=room,
        can_subscribe=grant.subscribe,
        can_publish=True,
        can_publish_data=grant.publish_data,
        can_publish_sources=[SOURCE_CLAIMS[source] for source in sorted(grant.publish)] or [NO_SOURCE],
        can_update_own_metadata=False,
    )
