"""What is for those with the same key, and what a video is coded in: C133 to C137."""

from __future__ import annotations

import pytest

from ...errors import InvalidInput, Unsupported
from ...media.backend import ConnectOptions
from ...media.codec import VideoCodec
from ...media.encryption import EncryptionKey
from ...media.events import DataReceived
from ...model.permission import TrackSource
from .harness import Harness
from .peer import Peer
from .proof import proves, refused
from .signals import film, flat, pitch_share, storyboard, tone
from .test_connection_lifecycle import pair

CAMERA = TrackSource.CAMERA
PITCH, LUMA, DARK = 440.0, 200, 40
KEY, OTHER = EncryptionKey("what ann and bob agreed on"), EncryptionKey("what nobody agreed on")


async def gather(harness: Harness) -> tuple[Peer, Peer, list[Peer]]:
    """Ann, bob with her key, and two who have none and another one."""
    room = await harness.room()
    ann = await harness.join(room, "ann", options=ConnectOptions(e2ee=KEY))
    bob = await harness.join(room, "bob", options=ConnectOptions(e2ee=EncryptionKey(KEY.reveal())))
    outsiders = [
        await harness.join(room, "eve", options=ConnectOptions()),
        await harness.join(room, "mallory", options=ConnectOptions(e2ee=OTHER)),
    ]
    return ann, bob, outsiders


@proves("C133", "C134")
async def test_sound_and_pictures_are_for_those_with_the_key(harness: Harness) -> None:
    ann, bob, outsiders = await gather(harness)
    voice, camera = await ann.publish(), await ann.publish(CAMERA, width=160, height=120)
    heard, seen = await bob.listens(ann), await bob.listens(ann, CAMERA)
    overheard = [(await eve.listens(ann), await eve.listens(ann, CAMERA)) for eve in outsiders]
    pictures = film([LUMA, DARK], seconds_each=0.5, width=160, height=120)
    async with harness.playing(voice, tone(PITCH, seconds=1.0)), harness.playing(camera, pictures):
        await heard.hears(PITCH)
        await harness.eventually(lambda: set(storyboard(seen.video, [LUMA, DARK])) == {LUMA, DARK})
        await harness.settle()
    for sound, shown in overheard:
        assert pitch_share(sound.audio, PITCH) < 0.3, "the sound was understood"
        assert len(storyboard(shown.video, [LUMA, DARK])) <= 1, "the film was seen"


@proves("C135")
async def test_data_is_for_those_with_the_key(harness: Harness) -> None:
    ann, bob, outsiders = await gather(harness)
    await harness.within(ann.connection.send_data(b"for bob"))
    await bob.expect(DataReceived, payload=b"for bob")
    await harness.settle()
    for eve in outsiders:
        assert b"for bob" not in [event.payload for event in eve.told(DataReceived)]


@proves("C136")
@pytest.mark.parametrize("codec", list(VideoCodec))
async def test_a_codec_is_used_or_refused(harness: Harness, codec: VideoCodec) -> None:
    _, ann, bob = await pair(harness)
    if codec not in harness.capabilities.video_codecs:
        with refused(Unsupported):
            await ann.publish(CAMERA, codec=codec)
        return
    track = await ann.publish(CAMERA, codec=codec, width=320, height=240)
    seen = await bob.listens(ann, CAMERA)
    async with harness.playing(track, [flat(LUMA, 320, 240)]):
        await harness.eventually(lambda: storyboard(seen.video, [LUMA, DARK])[-1:] == [LUMA])


@proves("C137")
async def test_a_codec_for_sound_is_invalid(harness: Harness) -> None:
    _, ann, _ = await pair(harness)
    with refused(InvalidInput):
        await ann.publish(codec=VideoCodec.VP8)
