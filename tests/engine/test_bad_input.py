"""Whatever is asked for, the answer is one typed error, and nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from utd_core.engine import Engine
from utd_core.errors import InvalidInput, UTDStreamException
from utd_core.model.command import Actor
from utd_core.model.commands import (
    AcceptRequest,
    CancelRequest,
    CreateBan,
    CreateRoom,
    CreateSession,
    DeleteBan,
    DemoteFromStage,
    EndRoom,
    GetCall,
    GetRoom,
    GoLive,
    JoinRoom,
    LeaveSeat,
    ListRooms,
    LockSeat,
    MakeRequest,
    MuteParticipant,
    PromoteToStage,
    RejectRequest,
    RemoveParticipant,
    SetRole,
    SetupSeats,
    StartCall,
    SwapSeats,
    TakeSeat,
    UpdateMetadata,
)
from utd_core.model.request import RequestKind
from utd_core.model.results import Page
from utd_core.model.roles import Role
from utd_core.model.stream_type import UTDStreamType
from utd_mock import MockBackend

from .world import ROOM, World

BAD_NAMES: list[Any] = [
    "",
    " ",
    "a" * 129,
    "tab\there",
    "nul\x00",
    "\u202eturned",
    " outer",
    None,
    7,
    b"bytes",
    "$server",
]


@pytest.mark.parametrize("identity", BAD_NAMES, ids=repr)
async def test_a_malformed_identity_is_refused_wherever_it_comes_in(world: World, identity: Any) -> None:
    await world.room()
    before = await world.server_does(GetRoom(room=ROOM))
    makers: list[Callable[[], Any]] = [
        lambda: CreateSession(identity=identity),
        lambda: StartCall(type=UTDStreamType.AUDIO_CALL, callee=identity),
        lambda: RemoveParticipant(room=ROOM, identity=identity),
        lambda: CreateBan(identity=identity),
        lambda: GetRoom(room=identity),
    ]
    for make in makers:
        with pytest.raises(InvalidInput):
            await world.server_does(make())
    if identity != "$server":
        with pytest.raises(InvalidInput):
            await world.engine.execute(GetRoom(room=ROOM), actor=Actor(identity))
    assert await world.server_does(GetRoom(room=ROOM)) == before


@pytest.mark.parametrize("device", ["", "a b", "x" * 65, "#", None], ids=repr)
async def test_a_malformed_device_is_refused(world: World, device: Any) -> None:
    with pytest.raises(InvalidInput):
        await world.engine.execute(GetRoom(room=ROOM), actor=Actor("ann", device))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"type": "disco"}, "invalid_input"),
        ({"type": "audio_room", "seat_mode": "chaos"}, "invalid_input"),
        ({"type": "audio_room", "seat_count": 0}, "invalid_input"),
        ({"type": "audio_room", "seat_count": 101}, "invalid_input"),
        ({"type": "audio_room", "seat_count": "8"}, "invalid_input"),
        ({"type": "audio_room", "empty_timeout": float("inf")}, "invalid_input"),
        ({"type": "audio_room", "empty_timeout": -1.0}, "invalid_input"),
        ({"type": "audio_room", "metadata": {"x": "y" * 70_000}}, "too_large"),
        ({"type": "audio_room", "unknown": 1}, "invalid_input"),
        ({"type": "live_stream", "seat_count": 4}, "invalid_input"),
        ({"type": "audio_call"}, "invalid_input"),
    ],
)
async def test_a_room_that_cannot_be_is_not_made(world: World, fields: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await world.server_does(CreateRoom(room=ROOM, **fields))
    assert caught.value.code == code
    with pytest.raises(UTDStreamException) as missing:
        await world.server_does(GetRoom(room=ROOM))
    assert missing.value.code == "room_not_found"


CASES: list[tuple[Callable[[], Any], str]] = [
    (lambda: TakeSeat(room=ROOM, index=8), "seat_out_of_range"),
    (lambda: TakeSeat(room=ROOM, index=-1), "seat_out_of_range"),
    (lambda: TakeSeat(room=ROOM, index=10**30), "seat_out_of_range"),
    (lambda: SwapSeats(room=ROOM, first=0, second=0), "invalid_input"),
    (lambda: SwapSeats(room=ROOM, first=0, second=99), "seat_out_of_range"),
    (lambda: LockSeat(room=ROOM, index=0, take=False), "invalid_input"),
    (lambda: LeaveSeat(room=ROOM), "not_seated"),
    (lambda: GoLive(room=ROOM), "wrong_phase"),
    (lambda: AcceptRequest(room=ROOM, id=99), "request_not_found"),
    (lambda: RejectRequest(room=ROOM, id=99), "request_not_found"),
    (lambda: CancelRequest(room=ROOM, id=99), "request_not_found"),
    (lambda: AcceptRequest(room=ROOM, id=0), "invalid_input"),
    (lambda: DeleteBan(room=ROOM, id="unknown"), "ban_not_found"),
    (lambda: MakeRequest(room=ROOM, kind=RequestKind.STAGE), "wrong_room_type"),
    (lambda: PromoteToStage(room=ROOM, identity="guest"), "wrong_room_type"),
    (lambda: DemoteFromStage(room=ROOM, identity="guest"), "wrong_room_type"),
    (lambda: MuteParticipant(room=ROOM, identity="guest"), "not_seated"),
    (lambda: RemoveParticipant(room=ROOM, identity="nobody"), "participant_not_found"),
    (lambda: SetRole(room=ROOM, identity="host", role=Role.AUDIENCE), "forbidden"),
    (lambda: UpdateMetadata(room=ROOM, metadata={}, revision=7), "conflict"),
    (lambda: StartCall(type=UTDStreamType.AUDIO_CALL, callee="host"), "call_to_self"),
    (lambda: StartCall(type=UTDStreamType.AUDIO_ROOM, callee="guest"), "invalid_input"),
    (lambda: GetCall(id="unknown"), "call_not_found"),
]


@pytest.mark.parametrize(("make", "code"), CASES)
async def test_what_makes_no_sense_is_refused_in_words(world: World, make: Callable[[], Any], code: str) -> None:
    host = await world.room()
    await world.guest("guest")
    before = await world.server_does(GetRoom(room=ROOM))
    with pytest.raises(UTDStreamException) as caught:
        await host.do(make())
    assert caught.value.code == code
    assert 400 <= caught.value.status_code < 500
    assert len(caught.value.message) > 10
    assert await world.server_does(GetRoom(room=ROOM)) == before


AFTER_THE_END: list[Callable[[], Any]] = [
    lambda: TakeSeat(room=ROOM),
    lambda: EndRoom(room=ROOM),
    lambda: LockSeat(room=ROOM, index=0),
    lambda: SetupSeats(room=ROOM, seat_count=3),
    lambda: MakeRequest(room=ROOM, kind=RequestKind.SPEAK),
    lambda: UpdateMetadata(room=ROOM, metadata={}),
    lambda: JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM),
]


@pytest.mark.parametrize("make", AFTER_THE_END)
async def test_nothing_happens_in_a_room_that_ended(world: World, make: Callable[[], Any]) -> None:
    host = await world.room()
    await host.do(EndRoom(room=ROOM))
    before = await world.server_does(GetRoom(room=ROOM))
    with pytest.raises(UTDStreamException) as caught:
        await host.do(make())
    assert caught.value.code == "room_ended"
    assert await world.server_does(GetRoom(room=ROOM)) == before


@pytest.mark.parametrize("key", [5, b"key", True, "", "k" * 256, "tab\t"], ids=repr)
async def test_a_key_that_is_none_is_refused_and_nothing_is_done(world: World, key: Any) -> None:
    with pytest.raises(InvalidInput, match="idempotency key"):
        await world.engine.execute(CreateRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM), idempotency_key=key)
    assert await world.engine.execute(ListRooms()) == Page((), None)


@pytest.mark.parametrize("actor", ["bob", None, 5, {"identity": "bob"}], ids=repr)
async def test_an_actor_that_is_none_is_refused(world: World, actor: Any) -> None:
    with pytest.raises(InvalidInput, match=r"an actor is Actor\(identity\)"):
        await world.engine.execute(ListRooms(), actor=actor)
    with pytest.raises(InvalidInput, match=r"an actor is Actor\(identity\)"):
        await world.engine.subscribe("private-room.lounge", actor=actor)


@pytest.mark.parametrize("channel", [None, 5, b"private-room.lounge"], ids=repr)
async def test_a_channel_that_is_none_is_refused(world: World, channel: Any) -> None:
    with pytest.raises(InvalidInput, match="named by a string"):
        await world.engine.subscribe(channel)


@pytest.mark.parametrize("media", [None, 5, MockBackend], ids=repr)
def test_media_that_is_none_is_refused(media: Any) -> None:
    with pytest.raises(InvalidInput, match="name of a plugin's backend"):
        Engine(media)


@pytest.mark.parametrize("store", [5, b"file", object()], ids=["number", "bytes", "object"])
def test_a_store_that_is_none_is_refused(store: Any) -> None:
    with pytest.raises(InvalidInput, match="a file, a store or None"):
        Engine("mock", store=store)
