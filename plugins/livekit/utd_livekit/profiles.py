"""How a participant is described: name, metadata and attributes, in LiveKit's words and back.

LiveKit takes an empty name or metadata for no change. So what is cleared is a character that no text of an application
has; whoever has it reads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livekit import api

from utd_core.media.arguments import RESERVED_ATTRIBUTES
from utd_core.media.attributes import Attributes

_CLEARED = "\x7f"


def changes_of(name: str | None, metadata: str | None, attributes: Mapping[str, str] | None) -> dict[str, Any]:
    """What a request to change them says."""
    changes: dict[str, Any] = {}
    if name is not None:
        changes["name"] = name or _CLEARED
    if metadata is not None:
        changes["metadata"] = metadata or _CLEARED
    if attributes:
        changes["attributes"] = dict(attributes)
    return changes


def text_of(text: str) -> str:
    """A name or metadata as the application has it."""
    return "" if text == _CLEARED else text


def attributes_of(participant: api.ParticipantInfo | Any) -> Attributes:
    """Those of the application, of a participant of either half."""
    pairs = {key: value for key, value in participant.attributes.items() if not key.startswith(RESERVED_ATTRIBUTES)}
    return Attributes({key: value for key, value in pairs.items() if value})
