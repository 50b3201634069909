"""`utd_core` is the public names and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import utd_core

PUBLIC = {
    "AudioFrame", "Engine", "ErrorCode", "Observable", "PixelFormat", "Role", "SeatMode", "TrackSource",
    "UTDAudioRoomSession", "UTDCall", "UTDCallSession", "UTDCallStatus", "UTDLiveStreamSession", "UTDRoom",
    "UTDSeat", "UTDSeatGrid", "UTDSession", "UTDStageMember", "UTDStreamClient", "UTDStreamException",
    "UTDStreamType", "UTDTokenResponse", "VideoFrame", "VideoQuality", "__version__",
}  # fmt: skip
"""Adding a name here is a promise to keep it; removing one is a breaking release."""


def test_the_list_is_the_promised_one() -> None:
    assert set(utd_core.__all__) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_resolves_to_itself(name: str) -> None:
    value = getattr(utd_core, name)
    # The model's own classes are public under the field's prefix: `UTDSeat` is `Seat`.
    assert getattr(value, "__name__", name) in (name, name.removeprefix("UTD"))
    assert getattr(utd_core, name) is value


def test_dir_shows_every_public_name() -> None:
    assert set(dir(utd_core)) >= PUBLIC


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'utd_core' has no attribute 'UTDNothing'"):
        utd_core.UTDNothing  # type: ignore[attr-defined]  # noqa: B018  (that checkers see it too)


def test_type_checkers_see_what_the_interpreter_gives() -> None:
    """The names imported under TYPE_CHECKING, with their modules, are the ones that are loaded lazily."""
    tree = ast.parse(Path(utd_core.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(seen) == PUBLIC - {"__version__"}
    assert {name: utd_core._HOMES.get(name, "client") for name in seen} == seen
