"""Frame readers, fast and slow: C58 to C66."""

from __future__ import annotations

import asyncio

from ...concurrency import Overflow
from ...errors import Closed
from ...media.backend import LocalTrack
from ...media.events import TrackUnsubscribed
from ...media.frames import Frame
from .harness import Harness
from .peer import Peer
from .proof import proves
from .signals import tone
from .test_connection_lifecycle import pair
from .test_connection_media import arrived

HUM = tone(440.0, seconds=0.2)
FEW = 5


async def published(harness: Harness) -> tuple[Peer, Peer, LocalTrack]:
    """Ann publishes a microphone, bob has subscribed to it."""
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    await bob.sees(ann)
    return ann, bob, track


async def overrun(harness: Harness, overflow: Overflow) -> tuple[list[Frame], list[Frame], Exception | None, int]:
    """Let a reader of few frames lie while much more is played beside a reader that keeps up.

    What the slow reader got, what the fast one got, how the slow one ended, how many frames it counted as dropped.
    """
    _, bob, track = await published(harness)
    slow = bob.connection.read(track.info.id, capacity=FEW, overflow=overflow)
    fast = harness.listen(bob.connection.read(track.info.id, capacity=1_000))
    await harness.play(track, tone(440.0, seconds=0.6))
    await arrived(harness, fast)
    assert len(fast.frames) > 2 * FEW
    await harness.within(track.unpublish())
    await fast.end()
    late = harness.listen(slow)
    await harness.eventually(lambda: late.ended)
    # Counted at the end: on a real network a frame may still have come when nothing seemed to come any more.
    return late.frames, fast.frames, late.error, slow.statistics().dropped


@proves("C58")
async def test_several_readers_each_get_every_frame(harness: Harness) -> None:
    _, bob, track = await published(harness)
    first = harness.listen(bob.connection.read(track.info.id, capacity=1_000))
    second = harness.listen(bob.connection.read(track.info.id, capacity=1_000))
    await harness.play(track, HUM)
    await harness.eventually(lambda: first.frames)
    await arrived(harness, first)
    assert first.frames == second.frames


@proves("C59")
async def test_a_slow_reader_that_drops_the_oldest_gets_the_newest(harness: Harness) -> None:
    slow, fast, error, dropped = await overrun(harness, Overflow.DROP_OLDEST)
    assert error is None
    assert slow == fast[-FEW:]
    assert dropped == len(fast) - FEW


@proves("C60")
async def test_a_slow_reader_that_drops_the_newest_gets_the_oldest(harness: Harness) -> None:
    slow, fast, error, dropped = await overrun(harness, Overflow.DROP_NEWEST)
    assert error is None
    assert slow == fast[:FEW]
    assert dropped == len(fast) - FEW


@proves("C61")
async def test_a_slow_reader_that_must_miss_nothing_ends_with_closed(harness: Harness) -> None:
    slow, fast, error, dropped = await overrun(harness, Overflow.CLOSE)
    assert isinstance(error, Closed), f"the reader ended with {error!r}, not with Closed"
    assert slow == fast[:FEW]
    assert dropped >= 1


@proves("C62")
async def test_a_slow_reader_delays_nobody(harness: Harness) -> None:
    _, bob, track = await published(harness)
    idle = bob.connection.read(track.info.id, capacity=1)
    fast = harness.listen(bob.connection.read(track.info.id, capacity=1_000))
    began = harness.clock.monotonic()
    sound = tone(440.0, seconds=0.6)
    await harness.play(track, sound)
    assert harness.clock.monotonic() - began <= 0.6 + harness.prompt
    await arrived(harness, fast)
    assert len(fast.frames) >= 0.6 * len(sound)
    assert fast.statistics().dropped == 0
    assert idle.statistics().waiting == 1


@proves("C63")
async def test_closing_a_reader_ends_it_alone(harness: Harness) -> None:
    _, bob, track = await published(harness)
    closed = harness.listen(bob.connection.read(track.info.id))
    other = harness.listen(bob.connection.read(track.info.id, capacity=1_000))
    async with harness.playing(track, HUM):
        await closed.hears(440.0)
        await harness.within(closed.reader.aclose())
        await harness.within(closed.reader.aclose())
        await closed.end()
        await other.hears(440.0)
        again = harness.listen(bob.connection.read(track.info.id))
        await again.hears(440.0)
    assert not bob.told(TrackUnsubscribed)


@proves("C64")
async def test_readers_end_with_their_connection(harness: Harness) -> None:
    _, bob, track = await published(harness)
    listener = harness.listen(bob.connection.read(track.info.id))
    async with harness.playing(track, HUM):
        await listener.hears(440.0)
        await harness.within(bob.connection.aclose())
        await listener.end()


@proves("C65")
async def test_the_counters_of_a_reader_add_up(harness: Harness) -> None:
    _, bob, track = await published(harness)
    reader = bob.connection.read(track.info.id, capacity=FEW)
    whole = harness.listen(bob.connection.read(track.info.id, capacity=1_000))
    await harness.play(track, tone(440.0, seconds=0.4))
    await harness.eventually(lambda: len(whole.frames) > FEW)
    await arrived(harness, whole)
    await harness.within(anext(reader))
    await harness.within(anext(reader))
    count = reader.statistics()
    assert (count.delivered, count.waiting) == (2, FEW - 2)
    assert count.accepted == count.delivered + count.waiting + count.dropped == len(whole.frames)


@proves("C66")
async def test_a_cancelled_read_loses_no_frame(harness: Harness) -> None:
    _, bob, track = await published(harness)
    reader = bob.connection.read(track.info.id, capacity=1_000)
    whole = harness.listen(bob.connection.read(track.info.id, capacity=1_000))
    got: list[Frame] = []
    for frame in HUM:
        for _ in range(2):
            reading = asyncio.ensure_future(anext(reader))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            if not reading.cancelled():
                got.append(reading.result())
        await harness.play(track, [frame])
    await arrived(harness, whole)
    while reader.statistics().waiting:
        got.append(await harness.within(anext(reader)))
    assert got == whole.frames
