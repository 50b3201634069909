"""Any lengths of PCM become exact frames, and nothing is lost or reordered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.media.pcm import PcmSlicer, pack, unpack


@given(st.integers(1, 64), st.lists(st.binary(max_size=300), max_size=20))
def test_slices_are_exact_and_in_order(frame_bytes: int, pushed: list[bytes]) -> None:
    slicer = PcmSlicer(frame_bytes)
    frames = [frame for data in pushed for frame in slicer.push(data)]
    stream = b"".join(pushed)
    assert all(len(frame) == frame_bytes for frame in frames)
    assert slicer.remainder == len(stream) % frame_bytes
    assert b"".join(frames) == stream[: len(stream) - slicer.remainder]

    last = slicer.flush()
    if len(stream) % frame_bytes:
        assert last is not None
        assert len(last) == frame_bytes
        whole = b"".join(frames) + last
        assert whole[: len(stream)] == stream
        assert not any(whole[len(stream) :]), "filled up with silence"
    else:
        assert last is None
    assert slicer.flush() is None


@given(st.integers(1, 32), st.binary(max_size=500), st.data())
def test_how_a_stream_is_cut_makes_no_difference(frame_bytes: int, stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    in_pieces, at_once = PcmSlicer(frame_bytes), PcmSlicer(frame_bytes)
    assert [frame for piece in pieces for frame in in_pieces.push(piece)] == at_once.push(stream)
    assert in_pieces.flush() == at_once.flush()


def test_a_frame_holds_something() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        PcmSlicer(0)


@given(st.lists(st.integers(-32_768, 32_767)))
def test_unpack_and_pack_are_inverse_and_little_endian(samples: list[int]) -> None:
    data = b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)
    assert list(unpack(data)) == samples
    assert pack(unpack(data)) == data
