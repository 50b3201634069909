"""What of a stream of sound goes on, and when, whatever the network does to it."""

from __future__ import annotations

import pytest
from aiortc.rtp import RtpPacket

from utd_webrtc_p2p.jitter import PATIENCE, SoundBuffer


def given(*numbers: int) -> list[int | None]:
    """Which packet each of these, as they come, lets go on."""
    buffer, out = SoundBuffer(), []
    for number in numbers:
        packet = RtpPacket(sequence_number=number % 65_536, timestamp=number * 960)
        packet._data = str(number).encode()  # type: ignore[attr-defined]  # aiortc's, of what is to be decoded
        _, frame = buffer.add(packet)
        out.append(None if frame is None else int(frame.data))
    return out


def test_each_goes_on_at_once() -> None:
    assert given(1, 2, 3, 4) == [1, 2, 3, 4]


def test_those_that_changed_places_are_put_in_order() -> None:
    assert given(1, 2, 4, 3, 5) == [1, 2, None, 3, 4]


@pytest.mark.parametrize("begin", [1, 65_534], ids=["within the numbers", "over their end"])
def test_a_lost_one_is_waited_for_only_so_long(begin: int) -> None:
    came = [begin, begin + 1, *range(begin + 3, begin + 12)]
    told = given(*came)
    assert told[:2] == came[:2]
    assert told[2 : 2 + PATIENCE - 1] == [None] * (PATIENCE - 1)
    # From then on it is behind by those, and the next loss holds nothing up.
    assert told[2 + PATIENCE - 1 :] == came[2 : -(PATIENCE - 1)]


def test_the_next_lost_one_holds_nothing_up() -> None:
    came = [number for number in range(1, 40) if number % 10]
    told = [number for number in given(*came) if number is not None]
    assert told == came[: len(told)]
    assert len(told) == len(came) - (PATIENCE - 1)


def test_one_that_comes_after_it_was_given_up_is_left_out() -> None:
    told = given(1, 2, *range(4, 9), 3, 9, 10)
    assert told[7] is None
    assert [number for number in told if number is not None] == [1, 2, 4, 5, 6, 7]


def test_one_that_comes_twice_goes_on_once() -> None:
    assert given(1, 2, 2, 3, 3) == [1, 2, None, 3, None]


def test_many_that_are_lost_at_once_hold_nothing_up() -> None:
    assert given(1, 2, *range(60, 64)) == [1, 2, 60, 61, 62, 63]


def test_another_stream_goes_on_at_once() -> None:
    assert given(40_000, 40_001, 5, 6) == [40_000, 40_001, 5, 6]
