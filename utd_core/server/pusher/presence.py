"""Who is in a presence channel: users, each once, with whatever number of sockets, on whatever number of nodes.

Nothing here knows a socket, a message or a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...errors import InvalidInput, TooLarge
from .frames import json_text
from .protocol import read_object, size_of

MAX_USER_ID = 128

HERE = ""
"""This node."""


@dataclass(frozen=True, slots=True)
class Member:
    """A user, and what is shown of them to the others."""

    user_id: str
    user_info: Any = None


class Change(NamedTuple):
    """Who is new in the channel, and who is no more in it."""

    added: Collection[Member]
    removed: Collection[str]


class Members:
    """The list of one channel. What is said first of a user holds, until the user is nowhere any more."""

    __slots__ = ("_counts", "_members", "_nodes")

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        # How many connections a user has here.
        self._counts: dict[str, int] = {}
        self._nodes: dict[str, dict[str, Member]] = {HERE: {}}

    @property
    def here(self) -> Mapping[str, Member]:
        """Those who have a connection to this node, by user id."""
        return self._nodes[HERE]

    @property
    def elsewhere(self) -> AbstractSet[str]:
        """The other nodes that somebody is on."""
        return self._nodes.keys() - {HERE}

    def join(self, member: Member) -> bool:
        """One connection more here; whether the user is new in the channel."""
        self._counts[member.user_id] = self._counts.get(member.user_id, 0) + 1
        return self._add(HERE, member)

    def leave(self, user_id: str) -> bool:
        """One connection less here; whether the user is no more in the channel."""
        count = self._counts.get(user_id, 0) - 1
        if count > 0:
            self._counts[user_id] = count
            return False
        self._counts.pop(user_id, None)
        return self._remove(HERE, user_id)

    def replace(self, node: str, members: Collection[Member]) -> Change:
        """Everybody who is on another node; nobody, where that is gone."""
        there = {member.user_id for member in members}
        return self.change(node, members, [user_id for user_id in self._nodes.get(node, ()) if user_id not in there])

    def change(self, node: str, joined: Collection[Member], left: Collection[str]) -> Change:
        """What is different on another node."""
        self._nodes.setdefault(node, {})
        added = [member for member in joined if self._add(node, member)]
        removed = [user_id for user_id in left if self._remove(node, user_id)]
        if not self._nodes[node]:
            del self._nodes[node]
        return Change(added, removed)

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

    def _add(self, node: str, member: Member) -> bool:
        self._nodes[node].setdefault(member.user_id, member)
        return self._members.setdefault(member.user_id, member) is member

    def _remove(self, node: str, user_id: str) -> bool:
        if self._nodes[node].pop(user_id, None) is None:
            return False
        if any(user_id in there for there in self._nodes.values()):
            return False
        del self._members[user_id]
        return True


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
