"""Who follows which channel, asked of all nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic_core import from_json, to_json

from ...bus import Questions
from .channel import Channel, topic_of

CENSUS = "?census"
"""No channel has this name: here nodes are asked about those that they have."""
PATIENCE = 2.0
"""Seconds; a node that takes longer is left out."""


@dataclass(slots=True)
class Figures:
    """Of a channel with somebody in it. `users`: in a presence channel, each once."""

    subscriptions: int = 0
    users: dict[str, None] = field(default_factory=dict)


class Census:
    """Asks; what is asked is answered by `count_channels` on every node where the project has connections."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    async def of(self, app_id: str, names: Sequence[str]) -> dict[str, Figures]:
        """The channels of these names; those that nobody is in are left out. Raises `Unavailable`."""
        return await self._ask(app_id, to_json({"names": names}))

    async def beginning_with(self, app_id: str, prefix: str) -> dict[str, Figures]:
        """All channels whose name begins so. Raises `Unavailable`."""
        return await self._ask(app_id, to_json({"prefix": prefix}))

    async def _ask(self, app_id: str, question: bytes) -> dict[str, Figures]:
        found: dict[str, Figures] = {}
        for answer in await self._questions.ask_all(topic_of(app_id, CENSUS), question, PATIENCE):
            for name, (subscriptions, users) in from_json(answer).items():
                figures = found.setdefault(name, Figures())
                figures.subscriptions += subscriptions
                figures.users |= dict.fromkeys(users)
        return found


def count_channels(channels: Iterable[Channel], question: bytes) -> bytes:
    """What one node answers. `channels`: its own, with somebody in them."""
    asked = from_json(question)
    prefix, names = asked.get("prefix"), frozenset(asked.get("names", ()))
    return to_json(
        {
            channel.name: (len(channel.places), list(channel.members or ()))
            for channel in channels
            if (channel.name.startswith(prefix) if prefix is not None else channel.name in names)
        }
    )
