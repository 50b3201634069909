"""Names, metadata and attributes of participants: M64 to M70."""

from __future__ import annotations

from typing import Any

import pytest

from ...errors import ErrorCode, InvalidInput, NotFound, TooLarge, UTDStreamException
from ...media.arguments import MAX_ATTRIBUTES, MAX_ATTRIBUTES_BYTES, MAX_METADATA_BYTES
from ...media.events import MediaEvent, ParticipantInfo, ParticipantJoined, ParticipantUpdated
from ...media.faults import Fault
from .harness import LISTENER, SPEAKER, Harness
from .peer import Peer
from .proof import proves, refused
from .test_connection_faults import inject, reconnected
from .test_control_moderation import listed

METADATA = '{"avatar": "https://example.org/ann \u00e9\U0001f399.png",\n\t"rank": "\\"1\\""}'
ATTRIBUTES = {"colour": "blue", "mood": "happy \U0001f600", "a longer name": "x" * 500}


WRONG: dict[str, tuple[dict[str, Any], type[UTDStreamException]]] = {
    "much-metadata": ({"metadata": "x" * (MAX_METADATA_BYTES + 1)}, TooLarge),
    "much-metadata-in-few-letters": ({"metadata": "\u00e9" * (MAX_METADATA_BYTES // 2 + 1)}, TooLarge),
    "much-in-an-attribute": ({"attributes": {"key": "x" * (MAX_ATTRIBUTES_BYTES - 2)}}, TooLarge),
    "many-attributes": ({"attributes": {f"key{number}": "x" for number in range(MAX_ATTRIBUTES + 1)}}, TooLarge),
    "metadata-that-is-no-text": ({"metadata": 7}, InvalidInput),
    "metadata-that-is-no-utf-8": ({"metadata": "\ud800"}, InvalidInput),
    "metadata-with-a-control-character": ({"metadata": "a\0b"}, InvalidInput),
    "attributes-that-are-no-mapping": ({"attributes": "colour=blue"}, InvalidInput),
    "an-attribute-without-a-name": ({"attributes": {"": "x"}}, InvalidInput),
    "an-attribute-that-is-no-text": ({"attributes": {"colour": 7}}, InvalidInput),
    "an-attribute-of-the-backend": ({"attributes": {"utd.colour": "blue"}}, InvalidInput),
    "a-long-name": ({"name": "x" * 1_001}, InvalidInput),
}


async def enter(harness: Harness, room: str, identity: str, **profile: Any) -> Peer:
    control = harness.control
    ticket = await harness.within(control.issue_join(room, identity, grant=SPEAKER, **profile))
    return harness.watch(await harness.connect(ticket))


async def update(harness: Harness, room: str, identity: str = "ann", **changes: Any) -> None:
    await harness.within(harness.control.update_participant(room, identity, **changes))


def described(info: ParticipantInfo) -> tuple[str, str, dict[str, str]]:
    return info.name, info.metadata, dict(info.attributes)


async def two(harness: Harness, **profile: Any) -> tuple[str, Peer, Peer]:
    """A room with ann, who is described, and bob."""
    room = await harness.room()
    ann = await enter(harness, room, "ann", **profile)
    bob = await harness.join(room, "bob", LISTENER)
    await ann.expect(ParticipantJoined, lambda event: event.participant.identity == "bob")
    return room, ann, bob


async def sees(harness: Harness, peer: Peer, wanted: Any) -> None:
    what = f"ann as {wanted} for {peer.identity}"
    await harness.eventually(lambda: described(as_seen_by(peer)) == wanted, what=what)


async def known(harness: Harness, peers: tuple[Peer, ...], room: str, *wanted: Any) -> None:
    """Wait until everybody has this of ann: those who are there, ann itself, and the list."""
    for peer in peers:
        await sees(harness, peer, wanted)
    assert described((await listed(harness, room))["ann"]) == wanted


def as_seen_by(peer: Peer) -> ParticipantInfo:
    connection = peer.connection
    return connection.local_participant if peer.identity == "ann" else connection.participants["ann"]


@proves("M64")
async def test_what_the_ticket_says_is_there_from_the_first_moment(harness: Harness) -> None:
    room = await harness.room()
    cid = await harness.join(room, "cid", LISTENER)
    ann = await enter(harness, room, "ann", name="Ann A.", metadata=METADATA, attributes=ATTRIBUTES)
    wanted = ("Ann A.", METADATA, ATTRIBUTES)
    assert described(ann.connection.local_participant) == wanted
    joined = await cid.expect(ParticipantJoined)
    assert described(joined.participant) == wanted
    assert described((await listed(harness, room))["ann"]) == wanted
    await harness.within(cid.connection.aclose())
    await harness.eventually(lambda: not ann.connection.participants)
    bob = await harness.join(room, "bob", LISTENER)
    assert described(bob.connection.participants["ann"]) == wanted
    await harness.settle()
    assert not any(peer.told(ParticipantUpdated) for peer in (ann, bob, cid))


@proves("M65")
async def test_a_change_is_told_to_everybody_once_it_shows(harness: Harness) -> None:
    late: list[str] = []

    def observe(connection: Any, event: MediaEvent) -> None:
        if isinstance(event, ParticipantUpdated):
            shown = connection.participants.get("ann", connection.local_participant)
            if described(shown) != described(event.participant):
                late.append(connection.identity)

    room = await harness.room()
    ticket = await harness.within(harness.control.issue_join(room, "ann", grant=SPEAKER, name="Ann"))
    ann = harness.watch(await harness.connect(ticket), observe)
    bob = await harness.join(room, "bob", LISTENER, observe=observe)
    await ann.expect(ParticipantJoined)
    await update(harness, room, name="Ann B.")
    await known(harness, (ann, bob), room, "Ann B.", "", {})
    await update(harness, room, metadata=METADATA, attributes=ATTRIBUTES)
    await known(harness, (ann, bob), room, "Ann B.", METADATA, ATTRIBUTES)
    await update(harness, room, metadata="")
    await known(harness, (ann, bob), room, "Ann B.", "", ATTRIBUTES)
    for peer in (ann, bob):
        told = [described(event.participant) for event in peer.told(ParticipantUpdated)]
        assert told[0] == ("Ann B.", "", {})
        assert told[-1] == ("Ann B.", "", ATTRIBUTES)
        assert {event.participant.identity for event in peer.told(ParticipantUpdated)} == {"ann"}
    assert late == [], "somebody was told of a change that did not show yet"


@proves("M66")
async def test_attributes_are_merged(harness: Harness) -> None:
    room, ann, bob = await two(harness, metadata="m", attributes={"colour": "blue", "mood": "happy"})
    await update(harness, room, attributes={"mood": "sad", "rank": "1"})
    await known(harness, (ann, bob), room, "", "m", {"colour": "blue", "mood": "sad", "rank": "1"})
    await update(harness, room, attributes={"colour": "", "never": ""})
    await known(harness, (ann, bob), room, "", "m", {"mood": "sad", "rank": "1"})


@proves("M67")
async def test_a_change_that_changes_nothing_is_not_told(harness: Harness) -> None:
    room, ann, bob = await two(harness, name="Ann", metadata="m", attributes={"colour": "blue"})
    await update(harness, room)
    await update(harness, room, name="Ann", metadata="m", attributes={"colour": "blue", "never": ""})
    await harness.settle()
    assert not ann.told(ParticipantUpdated)
    assert not bob.told(ParticipantUpdated)


@proves("M68")
async def test_changing_somebody_absent_is_not_found(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    for place, who in ((room, "nobody"), (harness.room_name("never-made"), "ann")):
        with refused(NotFound, ErrorCode.PARTICIPANT_NOT_FOUND):
            await update(harness, place, who, metadata="m")
    assert described(ann.connection.local_participant) == ("", "", {})


@proves("M69")
@pytest.mark.parametrize("wrong", list(WRONG))
async def test_what_cannot_be_said_is_refused(harness: Harness, wrong: str) -> None:
    change, error = WRONG[wrong]
    room = await harness.room()
    ann = await enter(harness, room, "ann", name="Ann", metadata="m", attributes={"colour": "blue"})
    with refused(error):
        await update(harness, room, **change)
    with refused(error):
        await harness.within(harness.control.issue_join(room, "bob", grant=LISTENER, **change))
    assert described((await listed(harness, room))["ann"]) == ("Ann", "m", {"colour": "blue"})
    await harness.settle()
    assert not ann.told(ParticipantUpdated)


@proves("M69")
async def test_what_would_be_too_much_together_is_refused(harness: Harness) -> None:
    room = await harness.room()
    ann = await enter(harness, room, "ann", attributes={"colour": "x" * (MAX_ATTRIBUTES_BYTES // 2)})
    with refused(TooLarge):
        await update(harness, room, attributes={"mood": "x" * (MAX_ATTRIBUTES_BYTES // 2)})
    await update(harness, room, attributes={"mood": "x" * (MAX_ATTRIBUTES_BYTES // 2), "colour": ""})
    await harness.eventually(lambda: set(ann.connection.local_participant.attributes) == {"mood"})
    assert set((await listed(harness, room))["ann"].attributes) == {"mood"}


@proves("M70")
async def test_what_changed_meanwhile_is_known_when_the_signal_is_back(harness: Harness) -> None:
    room, ann, bob = await two(harness, metadata="m")
    outage = 2 * harness.quiet
    await inject(harness, Fault.SIGNAL_DROP, bob, seconds=outage)
    await update(harness, room, metadata="n", attributes={"colour": "blue"})
    await update(harness, room, "bob", metadata="b")
    await reconnected(harness, bob, outage)
    await known(harness, (ann, bob), room, "", "n", {"colour": "blue"})
    await harness.eventually(lambda: bob.connection.local_participant.metadata == "b")
    await bob.expect(ParticipantUpdated, lambda event: event.participant.identity == "ann")
