"""How tracks are named on the wire: ids outlive LiveKit's own, and nobody takes another's."""

from __future__ import annotations

import pytest

from utd_livekit.names import new_track_id, read_wire_name, wire_name


@pytest.mark.parametrize("name", ["", "voice", "#utd-", "a#utd-0123456789abcdef", "line\nbreak", "🎙"])
def test_a_name_comes_back_with_its_id(name: str) -> None:
    track_id = new_track_id("ann")
    assert read_wire_name(wire_name(track_id, name), "TR_1", "ann") == (track_id, name)


@pytest.mark.parametrize("wire", ["", "camera", "#utd-", "voice#utd-123", "voice#utd-0123456789ABCDEF"])
def test_a_track_of_another_sdk_has_its_sid_for_an_id(wire: str) -> None:
    assert read_wire_name(wire, "TR_1", "ann") == ("TR_1", wire)


def test_nobody_takes_the_id_of_somebody_elses_track() -> None:
    stolen = wire_name(new_track_id("ann"), "voice")
    assert read_wire_name(stolen, "TR_1", "mallory") == ("TR_1", stolen)


def test_no_two_tracks_have_one_id() -> None:
    assert len({new_track_id("ann") for _ in range(1_000)}) == 1_000
