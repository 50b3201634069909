"""Rooms and who may get into them: M1 to M19."""

from __future__ import annotations

import anyio
import pytest

from ...errors import ConnectFailed, ErrorCode, InvalidInput
from ...media.backend import JoinTicket
from ...media.events import ConnectionState, DisconnectReason, ParticipantJoined
from ...model.identifiers import MAX_MEDIA_NAME
from ...model.permission import Grant
from .harness import EVERYTHING, LISTENER, SPEAKER, Harness
from .proof import proves, refused

ODD_NAMES = ("a b/c?d=e&f%20#g", "Zoë 🎙 房间 غرفة", "x" * MAX_MEDIA_NAME)
BAD_NAMES = ("", "x" * (MAX_MEDIA_NAME + 1), " blank", "line\nbreak", "nul\0", "zero\u200bwidth", None, 7, b"bytes")


@proves("M1")
async def test_a_created_room_is_listed(harness: Harness) -> None:
    room = await harness.room()
    assert room in await harness.within(harness.control.list_rooms())


@proves("M2")
async def test_creating_a_room_twice_disturbs_nobody(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    await harness.within(harness.control.create_room(room))
    assert (await harness.within(harness.control.list_rooms())).count(room) == 1
    assert [who.identity for who in await harness.within(harness.control.list_participants(room))] == ["ann"]
    bob = await harness.join(room, "bob")
    await ann.expect(ParticipantJoined, lambda event: event.participant.identity == "bob")
    assert ann.connection.state is bob.connection.state is ConnectionState.CONNECTED


@proves("M3")
async def test_closing_a_room_disconnects_everybody_in_it(harness: Harness) -> None:
    room = await harness.room()
    everybody = [await harness.join(room, "ann"), await harness.join(room, "bob")]
    await harness.within(harness.control.close_room(room))
    for peer in everybody:
        last = await peer.end()
        assert (last.state, last.reason) == (ConnectionState.DISCONNECTED, DisconnectReason.ROOM_CLOSED)
        assert peer.connection.state is ConnectionState.DISCONNECTED


@proves("M4")
async def test_a_closed_room_is_forgotten(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    await harness.within(harness.control.close_room(room))
    await ann.end()
    assert room not in await harness.within(harness.control.list_rooms())
    assert await harness.within(harness.control.list_participants(room)) == []


@proves("M5")
async def test_closing_an_unknown_room_is_fine(harness: Harness) -> None:
    room = await harness.room()
    await harness.within(harness.control.close_room(harness.room_name("never-made")))
    await harness.within(harness.control.close_room(room))
    await harness.within(harness.control.close_room(room))


@proves("M6")
async def test_rooms_are_separate(harness: Harness) -> None:
    first, second = await harness.room("first"), await harness.room("second")
    ann, bob = await harness.join(first, "ann"), await harness.join(second, "bob")
    if harness.capabilities.audio:
        await ann.publish()
    if harness.capabilities.data:
        await harness.within(ann.connection.send_data(b"for the first room"))
    await harness.settle()
    assert not bob.log, f"bob is alone in the second room, yet was told {bob.log}"
    assert not bob.connection.participants
    assert [who.identity for who in await harness.within(harness.control.list_participants(first))] == ["ann"]
    await harness.within(harness.control.close_room(first))
    await ann.end()
    assert bob.connection.state is ConnectionState.CONNECTED


@proves("M7")
async def test_a_room_made_again_starts_anew(harness: Harness) -> None:
    room = await harness.room(max_participants=1)
    ann = await harness.join(room, "ann")
    await harness.within(harness.control.close_room(room))
    await ann.end()
    await harness.within(harness.control.create_room(room))
    assert await harness.within(harness.control.list_participants(room)) == []
    bob = await harness.join(room, "bob")
    await harness.join(room, "cid")
    await bob.expect(ParticipantJoined, lambda event: event.participant.identity == "cid")
    assert set(bob.connection.participants) == {"cid"}


@proves("M8")
async def test_a_full_room_takes_nobody_more(harness: Harness) -> None:
    room = await harness.room(max_participants=1)
    ann = await harness.join(room, "ann")
    ticket = await harness.ticket(room, "bob")
    with refused(ConnectFailed):
        await harness.connect(ticket)
    await harness.settle()
    assert ann.connection.state is ConnectionState.CONNECTED
    assert not ann.told(ParticipantJoined)
    assert [who.identity for who in await harness.within(harness.control.list_participants(room))] == ["ann"]


@proves("M9")
async def test_the_place_of_who_left_is_free(harness: Harness) -> None:
    room = await harness.room(max_participants=1)
    ann = await harness.join(room, "ann")
    await harness.within(ann.connection.aclose())

    async def empty() -> bool:
        return await harness.control.list_participants(room) == []

    await harness.eventually(empty)
    bob = await harness.join(room, "bob")
    assert bob.connection.state is ConnectionState.CONNECTED


@proves("M10")
async def test_names_are_opaque(harness: Harness) -> None:
    for odd in ODD_NAMES:
        room = harness.claim((harness.room_name() + odd)[:MAX_MEDIA_NAME])
        identity = odd[: MAX_MEDIA_NAME - 3] + "-id"
        await harness.make_room(room, None)
        assert room in await harness.within(harness.control.list_rooms())
        ann = await harness.join(room, identity)
        assert (ann.connection.room, ann.connection.identity) == (room, identity)
        bob = await harness.join(room, "bob")
        assert set(bob.connection.participants) == {identity}


@proves("M11")
async def test_bad_names_are_refused_before_anything_happens(harness: Harness) -> None:
    room = await harness.room()
    control = harness.control
    before = set(await harness.within(control.list_rooms()))
    for bad in BAD_NAMES:
        with refused(InvalidInput, ErrorCode.INVALID_NAME):
            await harness.within(control.create_room(bad))  # type: ignore[arg-type]  # what is tested
        with refused(InvalidInput, ErrorCode.INVALID_NAME):
            await harness.within(control.issue_join(bad, "ann", grant=LISTENER))  # type: ignore[arg-type]  # same
        with refused(InvalidInput, ErrorCode.INVALID_IDENTITY):
            await harness.within(control.issue_join(room, bad, grant=LISTENER))  # type: ignore[arg-type]  # same
    assert set(await harness.within(control.list_rooms())) == before


@proves("M12")
async def test_many_creators_at_once_make_one_room(harness: Harness) -> None:
    room = harness.claim(harness.room_name())

    async def create_many() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(harness.control.create_room, room)

    await harness.within(create_many())
    assert (await harness.within(harness.control.list_rooms())).count(room) == 1


@proves("M13")
async def test_a_ticket_has_url_token_and_end(harness: Harness) -> None:
    room = await harness.room()
    before = harness.clock.now()
    ticket = await harness.ticket(room, "ann", ttl=60.0)
    assert ticket.url
    assert ticket.token
    assert before + 55 <= ticket.expires_at <= harness.clock.now() + 65


@proves("M14")
@pytest.mark.parametrize("grant", [EVERYTHING, LISTENER, SPEAKER, Grant(subscribe=False, publish_data=False)])
async def test_a_ticket_connects_whom_it_was_issued_for(harness: Harness, grant: Grant) -> None:
    room = await harness.room()
    watcher = await harness.join(room, "watcher")
    ann = await harness.join(room, "ann", grant, name="Ann A.")
    assert (ann.connection.room, ann.connection.identity, ann.connection.grant) == (room, "ann", grant)
    joined = await watcher.expect(ParticipantJoined)
    assert (joined.participant.identity, joined.participant.name) == ("ann", "Ann A.")
    listed = {who.identity: who for who in await harness.within(harness.control.list_participants(room))}
    assert (listed["ann"].name, listed["ann"].grant) == ("Ann A.", grant)


@proves("M15")
async def test_a_ticket_that_has_run_out_fails(harness: Harness) -> None:
    room = await harness.room()
    ticket = await harness.expired_ticket(room, "ann")
    with refused(ConnectFailed):
        await harness.connect(ticket)
    assert await harness.within(harness.control.list_participants(room)) == []


@proves("M16")
async def test_a_ticket_is_good_until_its_end(harness: Harness) -> None:
    room = await harness.room()
    ttl = 2 * harness.patience
    ticket = await harness.ticket(room, "ann", ttl=ttl)
    await harness.pass_time(harness.short_ttl)
    connection = await harness.connect(ticket)
    assert harness.watch(connection).connection.state is ConnectionState.CONNECTED


@proves("M17")
async def test_a_forged_token_fails(harness: Harness) -> None:
    room = await harness.room()
    ticket = await harness.ticket(room, "ann")
    middle = len(ticket.token) // 2
    altered = ticket.token[:middle] + ("A" if ticket.token[middle] != "A" else "B") + ticket.token[middle + 1 :]
    for token in ("", "not a token", "a.b.c", altered, ticket.token[:-4]):
        with refused(ConnectFailed):
            await harness.connect(JoinTicket(ticket.url, token, ticket.expires_at))
    assert await harness.within(harness.control.list_participants(room)) == []


@proves("M18")
async def test_a_ticket_of_a_closed_room_fails(harness: Harness) -> None:
    room = await harness.room()
    ticket = await harness.ticket(room, "ann")
    await harness.within(harness.control.close_room(room))
    with refused(ConnectFailed):
        await harness.connect(ticket)
    assert room not in await harness.within(harness.control.list_rooms())


@proves("M19")
async def test_a_ticket_of_a_room_never_made_fails(harness: Harness) -> None:
    room = harness.room_name("never-made")
    ticket = await harness.ticket(room, "ann")
    with refused(ConnectFailed):
        await harness.connect(ticket)
    assert room not in await harness.within(harness.control.list_rooms())
