"""Mute, removal, lists and data from the server: M35 to M50."""

from __future__ import annotations

from ...errors import ErrorCode, NotFound, TooLarge
from ...media.events import (
    ConnectionState,
    DataReceived,
    DisconnectReason,
    ParticipantInfo,
    ParticipantLeft,
    TrackMuted,
    TrackUnmuted,
)
from .harness import LISTENER, Harness
from .peer import Peer
from .proof import proves, refused
from .signals import tone
from .test_control_grants import two

HUM = tone(440.0, seconds=0.2)
_A_MOMENT = 0.1
"""Seconds."""


async def listed(harness: Harness, room: str) -> dict[str, ParticipantInfo]:
    everybody = await harness.within(harness.control.list_participants(room))
    assert len({who.identity for who in everybody}) == len(everybody), f"somebody is listed twice: {everybody}"
    return {who.identity: who for who in everybody}


async def mute(harness: Harness, room: str, track_id: str, muted: bool = True) -> None:
    await harness.within(harness.control.mute_track(room, "ann", track_id, muted))


async def reached(harness: Harness, room: str, *peers: Peer) -> None:
    """Wait until what the server says arrives at them. A media server may open its way to somebody a moment after he
    has connected, and says nothing of what it drops before."""

    async def everybody_hears() -> bool:
        await harness.control.send_data(room, b"hello")
        await harness.pass_time(_A_MOMENT)
        return all(peer.told(DataReceived) for peer in peers)

    await harness.eventually(everybody_hears, what="a word from the server")
    await harness.settle()
    for peer in peers:
        peer.log.clear()


@proves("M35")
async def test_a_server_mute_silences_the_track(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        await listener.hears(440.0)
        await mute(harness, room, track.info.id)
        assert (await bob.expect(TrackMuted, identity="ann", track=track.info.id)).by_server
        await listener.silence()
    assert [info.muted for info in bob.knows("ann") or ()] == [True]


@proves("M36")
async def test_a_lifted_server_mute_lets_the_track_sound_again(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        await mute(harness, room, track.info.id)
        await bob.expect(TrackMuted, identity="ann")
        await mute(harness, room, track.info.id, False)
        await bob.expect(TrackUnmuted, identity="ann", track=track.info.id)
        await listener.hears(440.0)


@proves("M37")
async def test_the_publishers_own_track_says_that_it_is_muted(harness: Harness) -> None:
    room, ann, _ = await two(harness)
    track = await ann.publish()
    assert not track.info.muted
    await mute(harness, room, track.info.id)
    await harness.eventually(lambda: track.info.muted)
    assert (await ann.expect(TrackMuted, identity="ann", track=track.info.id)).by_server


@proves("M38")
async def test_muting_what_does_not_exist_is_not_found(harness: Harness) -> None:
    room, ann, _ = await two(harness)
    track = await ann.publish()
    for place, who, track_id in (
        (room, "ann", "no-such-track"),
        (room, "nobody", track.info.id),
        (harness.room_name("never-made"), "ann", track.info.id),
    ):
        with refused(NotFound):
            await harness.within(harness.control.mute_track(place, who, track_id))


@proves("M39")
async def test_a_removed_participant_is_disconnected(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    await harness.within(harness.control.remove_participant(room, "ann"))
    last = await ann.end()
    assert (last.state, last.reason) == (ConnectionState.DISCONNECTED, DisconnectReason.REMOVED)
    assert await listed(harness, room) == {}


@proves("M40")
async def test_the_others_are_told_of_a_removal(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    listener = None
    if harness.capabilities.audio:
        await ann.publish()
        listener = await bob.listens(ann)
    await harness.within(harness.control.remove_participant(room, "ann"))
    left = await bob.expect(ParticipantLeft, identity="ann")
    assert left.reason in (DisconnectReason.REMOVED, DisconnectReason.UNKNOWN)
    assert bob.knows("ann") is None
    if listener is not None:
        await listener.end()
    await harness.settle()
    assert len(bob.told(ParticipantLeft)) == 1


@proves("M41")
async def test_removing_somebody_absent_is_not_found(harness: Harness) -> None:
    room, ann, _ = await two(harness)
    await harness.within(harness.control.remove_participant(room, "ann"))
    await ann.end()
    for place, who in ((room, "nobody"), (room, "ann"), (harness.room_name("never-made"), "bob")):
        with refused(NotFound, ErrorCode.PARTICIPANT_NOT_FOUND):
            await harness.within(harness.control.remove_participant(place, who))


@proves("M42")
async def test_a_removed_participant_comes_back_with_a_new_ticket(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    await harness.within(harness.control.remove_participant(room, "ann"))
    await ann.end()
    await bob.expect(ParticipantLeft, identity="ann")
    again = await harness.join(room, "ann")
    assert again.connection.state is ConnectionState.CONNECTED
    await harness.eventually(lambda: "ann" in bob.connection.participants)


@proves("M43")
async def test_the_list_has_everybody_once(harness: Harness) -> None:
    room = await harness.room()
    before = harness.clock.now()
    await harness.join(room, "ann", name="Ann A.")
    await harness.join(room, "bob", LISTENER)
    everybody = await listed(harness, room)
    assert set(everybody) == {"ann", "bob"}
    assert everybody["ann"].name == "Ann A."
    for who in everybody.values():
        assert before - 5 <= who.joined_at <= harness.clock.now() + 5
        assert who.tracks == ()


@proves("M44")
async def test_who_left_is_not_listed(harness: Harness) -> None:
    room, ann, _ = await two(harness)
    await harness.within(ann.connection.aclose())

    async def only_bob() -> bool:
        return set(await listed(harness, room)) == {"bob"}

    await harness.eventually(only_bob)


@proves("M45")
async def test_listed_tracks_follow_what_is_published(harness: Harness) -> None:
    room, ann, _ = await two(harness)

    async def shows(*tracks: tuple[str, bool]) -> None:
        async def shown() -> bool:
            seen = (await listed(harness, room))["ann"].tracks
            return [(info.id, info.muted) for info in seen] == list(tracks)

        await harness.eventually(shown, what=f"the list with the tracks {tracks}")

    track = await ann.publish(name="voice")
    await shows((track.info.id, False))
    (info,) = (await listed(harness, room))["ann"].tracks
    assert (info.source, info.name) == (track.info.source, "voice")
    await harness.within(track.set_muted(True))
    await shows((track.info.id, True))
    await harness.within(track.unpublish())
    await shows()


@proves("M46")
async def test_an_unknown_room_has_no_participants(harness: Harness) -> None:
    assert await harness.within(harness.control.list_participants(harness.room_name("never-made"))) == []


@proves("M47")
async def test_data_from_the_server_reaches_everybody(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    await reached(harness, room, ann, bob)
    await harness.within(harness.control.send_data(room, b"from the server"))
    for peer in (ann, bob):
        received = await peer.expect(DataReceived)
        assert (received.payload, received.sender, received.reliable) == (b"from the server", None, True)


@proves("M48")
async def test_data_from_the_server_to_some_reaches_only_those(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    await reached(harness, room, ann, bob)
    await harness.within(harness.control.send_data(room, b"for bob", to=["bob", "nobody"]))
    await harness.within(harness.control.send_data(room, b"for all"))
    await bob.expect(DataReceived, payload=b"for bob")
    await ann.expect(DataReceived, payload=b"for all")
    await harness.settle()
    assert [event.payload for event in ann.told(DataReceived)] == [b"for all"]


@proves("M49")
async def test_data_from_the_server_keeps_its_topic(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    await reached(harness, room, ann)
    await harness.within(harness.control.send_data(room, b"{}", topic="chat"))
    assert (await ann.expect(DataReceived)).topic == "chat"


@proves("M50")
async def test_too_much_data_from_the_server_reaches_nobody(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    await reached(harness, room, ann)
    with refused(TooLarge):
        await harness.within(harness.control.send_data(room, bytes(harness.capabilities.max_data_bytes + 1)))
    await harness.within(harness.control.send_data(room, b"small"))
    await ann.expect(DataReceived, payload=b"small")
    assert len(ann.told(DataReceived)) == 1
