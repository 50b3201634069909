"""Who is in a presence channel: users, each once, with whatever number of sockets.

Nothing here knows a socket or a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidInput, TooLarge
from .frames import json_text
from .protocol import read_object, size_of

MAX_USER_ID = 128


@dataclass(frozen=True, slots=True)
class Member:
    """A user, and what is shown of them to the others."""

    user_id: str
    user_info: Any = None


class Members:
    """The list of one channel."""

    __slots__ = ("_counts", "_members")

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._counts: dict[str, int] = {}

    def join(self, member: Member) -> bool:
        """One connection more; whether it is the user's first. What the first one says of the user holds."""
        count = self._counts.get(member.user_id, 0)
        self._counts[member.user_id] = count + 1
        self._members.setdefault(member.user_id, member)
        return count == 0

    def leave(self, user_id: str) -> bool:
        """One connection less; whether it was the user's last."""
        count = self._counts.get(user_id, 0) - 1
        if count > 0:
            self._counts[user_id] = count
            return False
        self._counts.pop(user_id, None)
        return self._members.pop(user_id, None) is not None

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def as_data(self) -> str:
        """What somebody who has subscribed is told, JSON text."""
        presence = {
            "count": len(self._members),
            "ids": list(self._members),
            "hash": {user_id: member.user_info for user_id, member in self._members.items()},
        }
        return json_text({"presence": presence})


def read_member(channel_data: str, member_bytes: int) -> Member:
    """The member that signed data of a channel is about. Raises `InvalidInput` or `TooLarge`."""
    data = read_object(channel_data, "channel_data")
    user_id = data.get("user_id")
    if isinstance(user_id, int) and not isinstance(user_id, bool):
        user_id = str(user_id)
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= MAX_USER_ID:
        raise InvalidInput(f"channel_data must hold a user_id of 1 to {MAX_USER_ID} characters")
    user_info = data.get("user_info")
    if size_of(json_text(user_info)) > member_bytes:
        raise TooLarge(f"user_info has at most {member_bytes} bytes")
    return Member(user_id, user_info)
