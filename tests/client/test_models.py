"""The names an application sees, the one tree of errors, and permissions that only the server gives."""

from __future__ import annotations

import pytest

import utd_core
from utd_core import UTDCallStatus, UTDSeat, UTDSeatGrid, UTDStageMember, UTDStreamException, UTDStreamType
from utd_core import client as client_package
from utd_core.client import UTDTokenResponse
from utd_core.errors import Banned, FeatureDisabled, Forbidden, RateLimited
from utd_core.media.backend import PublishOptions
from utd_core.model.commands import CreateBan, JoinRoom
from utd_core.model.permission import TrackSource
from utd_core.model.roles import Role
from utd_core.model.stream_type import UTDStreamType as ModelStreamType

from .world import EVENTS_URL, ROOM, World


@pytest.mark.parity("U18")
def test_stream_types_have_wire_values_and_know_what_they_are() -> None:
    assert {each.value: (each.is_call, each.has_video) for each in UTDStreamType} == {
        "audio_call": (True, False),
        "video_call": (True, True),
        "live_stream": (False, True),
        "audio_room": (False, False),
    }
    assert UTDStreamType is ModelStreamType


@pytest.mark.parity("U18")
def test_call_statuses_are_those_of_the_engine() -> None:
    assert [each.value for each in UTDCallStatus] == [
        "initiating",
        "ringing",
        "active",
        "ended",
        "rejected",
        "busy",
        "missed",
    ]


@pytest.mark.parity("U18")
async def test_a_token_response_holds_what_a_participant_needs(world: World) -> None:
    alice = await world.client("alice")
    ticket = await alice._link.execute(JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=True))
    assert isinstance(ticket, UTDTokenResponse)
    assert (ticket.room_name, ticket.backend, ticket.role) == (ROOM, "mock", Role.OWNER)
    assert ticket.ws_url == (None if world.way == "embedded" else f"{EVENTS_URL}/key")
    assert ticket.token
    assert ticket.url.startswith("mock://")
    assert world.engine.actor_of(ticket.user_token).identity == "alice"


@pytest.mark.parity("U18")
def test_a_stage_member_has_identity_name_and_role() -> None:
    member = UTDStageMember("alice", "Alice", Role.HOST)
    assert (member.identity, member.name, member.role) == ("alice", "Alice", Role.HOST)
    assert UTDSeatGrid(seats=(UTDSeat(0, "alice"),)).seat_of("alice") is not None


@pytest.mark.parity("U18")
def test_every_public_name_of_the_client_is_there() -> None:
    for name in client_package.__all__:
        assert getattr(client_package, name) is not None
    for name in utd_core.__all__:
        assert getattr(utd_core, name) is not None


@pytest.mark.parity("U19")
def test_every_error_is_one_exception_with_status_and_code() -> None:
    for error, banned, limited, forbidden in (
        (Banned("x"), True, False, False),
        (RateLimited("x"), False, True, False),
        (Forbidden("x"), False, False, True),
        (FeatureDisabled("x"), False, False, True),
    ):
        assert isinstance(error, UTDStreamException)
        assert (error.is_banned, error.is_rate_limited, error.is_forbidden) == (banned, limited, forbidden)


@pytest.mark.parity("U19")
async def test_a_ban_is_told_from_another_refusal(world: World) -> None:
    await world.audio_room("host", as_host=True)
    bad = await world.client("bad")
    await world.engine.execute(CreateBan(identity="bad", room=ROOM, reason="spam"))
    with pytest.raises(UTDStreamException) as caught:
        await bad.join_audio_room(ROOM)
    assert caught.value.is_banned
    assert not caught.value.is_forbidden
    assert caught.value.status_code == 403
    assert "spam" in caught.value.message
    good = await world.audio_room("good")
    with pytest.raises(UTDStreamException) as caught:
        await good.setup_seats(9)
    assert caught.value.is_forbidden


@pytest.mark.parity("U20")
async def test_permissions_come_from_the_server_and_a_client_that_cheats_is_refused_there(world: World) -> None:
    await world.audio_room("host", as_host=True)
    cheat = await world.audio_room("cheat")
    connection = cheat.room._connection.present
    assert connection is not None
    with pytest.raises(UTDStreamException) as caught:
        await connection.publish(PublishOptions(TrackSource.MICROPHONE))
    assert caught.value.status_code == 403
    assert world.backend.server.rooms[ROOM].participants["cheat"].tracks == ()


@pytest.mark.parity("U20")
async def test_a_client_holds_no_secret(world: World) -> None:
    alice = await world.client("alice")
    held = {name for name in vars(alice) if "secret" in name or "key" in name}
    assert held == set()
