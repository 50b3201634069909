"""Who has the key hears, sees and reads; who has not, or another one, does not."""

from __future__ import annotations

import logging
import pickle
from dataclasses import replace

import pytest

from utd_core.client import UTDRoom
from utd_core.errors import InvalidInput, Unsupported
from utd_core.media.backend import ConnectOptions
from utd_core.media.encryption import EncryptionKey
from utd_core.media.sources.pattern import TestPatternVideoSource, read_counter
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_core.model.permission import Grant
from utd_core.testing.contract.signals import pitch_share
from utd_livekit.backend import LiveKitBackend
from utd_mock.backend import MockBackend
from utd_mock.capabilities import CAPABILITIES

from .stage import CAMERA, EVERYTHING, MICROPHONE, becomes, stage

SECRET = "a secret that is long enough"
PITCH = 440.0


class Keyless(MockBackend):
    """A backend that declares nothing about encryption."""

    capabilities = replace(CAPABILITIES, e2ee=False)


@pytest.mark.heavy
async def test_only_who_has_the_key_hears_sees_and_reads(
    backend: LiveKitBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with stage(backend) as here:
        ann = await here.join("ann", e2ee=EncryptionKey(SECRET))
        bob = await here.join("bob", e2ee=EncryptionKey(SECRET.encode()))
        outsiders = [await here.join("eve"), await here.join("mallory", e2ee=EncryptionKey("another secret"))]
        voice, camera = await ann.publish(MICROPHONE), await ann.publish(CAMERA, width=320, height=240, framerate=15.0)
        here.play(ToneAudioSource(PITCH), voice)
        here.play(TestPatternVideoSource(320, 240, 15.0), camera)
        heard, seen = await bob.collect(voice), await bob.collect(camera)
        overheard = [(await eve.collect(voice), await eve.collect(camera)) for eve in outsiders]
        await becomes(lambda: pitch_share(heard[-25:], PITCH) > 0.9, "the tone")
        await becomes(lambda: len([one for one in seen if read_counter(one) is not None]) > 30, "the film")
        await ann.connection.send_data(b"for friends")
        await becomes(lambda: bob.said, "the data")
        assert bob.said == [b"for friends"]
        for eve, (sound, pictures) in zip(outsiders, overheard, strict=True):
            # It did come to them, and is nothing to them.
            assert (await eve.wire_in(voice)).packets > 25
            assert pitch_share(sound[-50:], PITCH) < 0.3
            assert [one for one in pictures if read_counter(one) is not None] == []
            assert eve.said == []
    assert SECRET not in caplog.text


@pytest.mark.heavy
async def test_the_key_of_a_room_object_is_used(backend: LiveKitBackend) -> None:
    async with stage(backend) as here:
        bob = await here.join("bob", e2ee=EncryptionKey(SECRET))
        eve = await here.join("eve")
        room = UTDRoom(backend, e2ee=EncryptionKey(SECRET))
        ticket = await backend.control.issue_join(here.room, "ann", grant=EVERYTHING)
        async with room:
            await room.connect(ticket.url, ticket.token)
            await room.set_microphone(True, ToneAudioSource(PITCH))
            await becomes(lambda: bob.offered and eve.offered, "the track")
            heard, overheard = await bob.collect(bob.offered[0]), await eve.collect(eve.offered[0])
            await becomes(lambda: pitch_share(heard[-25:], PITCH) > 0.9, "the tone")
            assert pitch_share(overheard[-50:], PITCH) < 0.3


def test_a_key_shows_nothing_of_itself() -> None:
    key = EncryptionKey(SECRET)
    assert SECRET not in f"{key} {key!r} {ConnectOptions(e2ee=key)!r}"
    assert key == EncryptionKey(SECRET.encode())
    assert key != EncryptionKey("another")
    assert key.reveal() == SECRET.encode()
    with pytest.raises(InvalidInput) as refused:
        pickle.dumps(key)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("secret", ["", b"", "x" * 257, 17, None, "\ud800"])
def test_a_bad_key_is_refused_without_being_told(secret: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        EncryptionKey(secret)  # type: ignore[arg-type]  # bad input
    assert "xxx" not in str(refused.value)


async def test_a_backend_that_cannot_encrypt_says_so_instead_of_sending_in_the_clear() -> None:
    async with Keyless() as backend:
        await backend.control.create_room("room")
        ticket = await backend.control.issue_join("room", "ann", grant=Grant())
        with pytest.raises(Unsupported, match="e2ee"):
            await backend.connect(ticket, ConnectOptions(e2ee=EncryptionKey(SECRET)))
        with pytest.raises(InvalidInput):
            await backend.connect(ticket, ConnectOptions(e2ee=SECRET))  # type: ignore[arg-type]  # bad input
        assert await backend.control.list_participants("room") == []
