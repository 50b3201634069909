"""How people are, as sessions show it: S43 to S45."""

from __future__ import annotations

from typing import Any

import pytest

from ...client import UTDSession
from ...media.events import ParticipantUpdated, SpeakersChanged
from ...media.sinks.level import FLOOR_DBFS
from .harness import Harness
from .proof import proves
from .stage_hand import StageHand
from .test_connection_conditions import FINE, RATED_WITHIN
from .test_session_audio_room import host_and_listener


async def speak(hand: StageHand, session: UTDSession, *identities: str) -> None:
    """Wait until exactly these are shown as those who speak."""
    await hand.becomes(
        session.speakers,
        lambda speakers: [speaker.identity for speaker in speakers] == list(identities),
        f"{identities or 'nobody'} speaking, as {session.identity} sees it",
    )
    await hand.becomes(
        session.dominant_speaker, lambda who: who == next(iter(identities), None), "who has the word, after who speaks"
    )


@proves("S43")
@pytest.mark.parity("S5")
async def test_a_room_shows_who_speaks(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        of_bob = hand.hear_of(bob, SpeakersChanged)
        await harness.within(ann.take_seat(0))
        for session in (ann, bob):
            await speak(hand, session, "ann")
        await hand.becomes(
            bob.remote_participants,
            lambda people: [(one.identity, one.speaking) for one in people] == [("ann", True)],
            "ann as somebody who speaks",
        )
        (shown,) = bob.remote_participants.value
        assert FLOOR_DBFS < shown.level <= 0
        (other,) = ann.remote_participants.value
        assert (other.speaking, other.level) == (False, FLOOR_DBFS)
        myself = ann.local_participant
        assert myself is not None
        assert myself.speaking
        await harness.within(ann.set_microphone(False))
        for session in (ann, bob):
            await speak(hand, session)
        await hand.becomes(
            bob.remote_participants, lambda people: not any(one.speaking for one in people), "nobody who speaks"
        )
        assert of_bob[-1].speakers == ()


@proves("S44")
@pytest.mark.parity("S5")
async def test_a_room_shows_how_well_a_speaker_is_connected(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        await harness.within(ann.take_seat(0))
        await hand.witness(bob, "ann").hears()
        await harness.eventually(
            lambda: [one.quality in FINE for one in bob.remote_participants.value] == [True],
            RATED_WITHIN,
            what="ann well connected, as bob sees it",
        )
        await harness.eventually(
            lambda: _quality_of(ann) in FINE, RATED_WITHIN, what="ann well connected, as it sees it"
        )


def _quality_of(session: UTDSession) -> Any:
    return None if session.local_participant is None else session.local_participant.quality


@proves("S45")
@pytest.mark.parity("S5")
async def test_a_room_shows_what_the_server_side_says_of_somebody(harness: Harness) -> None:
    async with StageHand(harness) as hand:
        ann, bob = await host_and_listener(hand)
        of_bob = hand.hear_of(bob, ParticipantUpdated)
        await harness.eventually(lambda: "ann" in bob.room.participants, what="ann in the media room")
        await harness.within(
            harness.control.update_participant(hand.room, "ann", metadata="{}", attributes={"image": "ann.png"})
        )
        await hand.becomes(
            bob.remote_participants,
            lambda people: [(one.metadata, dict(one.attributes)) for one in people] == [("{}", {"image": "ann.png"})],
            "what is said of ann",
        )
        await harness.eventually(lambda: ann.local_participant and ann.local_participant.metadata == "{}")
        await harness.eventually(lambda: of_bob, what="the event that tells bob of ann")
        await harness.settle()
        assert [event.participant.identity for event in of_bob] == ["ann"]
