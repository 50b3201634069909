"""The members of a presence channel, from node to node.

Each node tells the others who is there on it, and is the only one that does; so what is known of a node is replaced as
a whole where anything may be missing, and forgotten as a whole where the node is gone. Three things are said on the
channel's topic, behind the id of the roster that says them:

| | |
|---|---|
| `who` | tell everything |
| `all` | everybody who is here |
| `new` | who came, and who left, since the last time |

What is told is a difference to what was told before, made when it is sent: however fast members come and go, nothing
piles up. Where it could not be told, everything is, later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from ...concurrency import within
from ...errors import Closed, DeadlineExceeded, Unavailable
from .frames import json_text
from .presence import Change, Member, Members

if TYPE_CHECKING:
    from .channel import Surroundings

MARK = b"@"
"""How such a message begins; no socket's id begins so."""

ANSWER_TIME = 1.0
"""Seconds that the others have to tell everything to somebody who opens the channel."""
RETURN_TIME = 5.0
"""Seconds that they have where messages were lost: they may have to find the way back themselves."""
RETRY = 1.0
"""Seconds until what could not be told is told again, unless the way is known to be back before."""

_serials = count(1)


class Roster:
    """What one node says and hears of one channel's members. `on_change`: somebody came or left elsewhere."""

    def __init__(self, name: str, members: Members, around: Surroundings, on_change: Callable[[Change], None]) -> None:
        self._id = f"{around.node}.{next(_serials)}"
        self._topic = around.topic(name)
        self._members = members
        self._around = around
        self._on_change = on_change
        # What the others know; None where that is not known.
        self._told: Mapping[str, Member] | None = None
        self._is_telling = False
        self._again = asyncio.Event()
        # Those that told everything since they were asked last, and how often that was.
        self._heard: set[str] = set()
        self._news = asyncio.Event()
        self._asked = 0

    async def open(self) -> None:
        """Hear who is elsewhere; the topic is listened to already. Raises `Closed` or `Unavailable`."""
        self._heard.clear()
        others = await self._say("who") - 1
        if others > 0:
            with suppress(DeadlineExceeded):
                await within(self._around.clock, ANSWER_TIME, self._hear_from(others), "not all have answered")

    def changed(self) -> None:
        """Somebody came or left here: have the others know."""
        if not self._is_telling and self._around.scope.is_open:
            self._is_telling = True
            self._around.scope.start(self._tell)

    def compare(self) -> None:
        """Something may have been missed, by whichever side: tell everything, ask for everything.

        Whoever does not answer in time is gone.
        """
        self._told = None
        # From here on: the others may tell everything before they are asked.
        self._heard.clear()
        self._again.set()
        self.changed()
        if self._around.scope.is_open:
            self._around.scope.start(self._compare)

    def lose(self, node: str) -> None:
        """Another node is gone."""
        for roster in self._members.elsewhere:
            if roster.partition(".")[0] == node:
                self._on_change(self._members.replace(roster, ()))

    def hear(self, message: bytes) -> str:
        """Something that begins with `MARK`; the node that said it."""
        roster, kind, text = message[len(MARK) :].decode().split("\n", 2)
        if roster == self._id:
            return self._around.node
        if kind == "who":
            self._told = None
            self.changed()
        elif kind == "all":
            self._heard.add(roster)
            self._news.set()
            self._on_change(self._members.replace(roster, _members(from_json(text))))
        else:
            said = from_json(text)
            self._on_change(self._members.change(roster, _members(said["joined"]), said["left"]))
        return roster.partition(".")[0]

    async def _tell(self) -> None:
        try:
            while True:
                told, here = self._told, dict(self._members.here)
                if told == here:
                    return
                # Before it is sent: whoever asks meanwhile wants to be told once more.
                self._told = here
                try:
                    if told is None:
                        await self._say("all", _as_data(here))
                    else:
                        await self._say("new", _difference(told, here))
                except Closed:
                    return
                except Unavailable:
                    self._told = None
                    self._again.clear()
                    with suppress(DeadlineExceeded):
                        await within(self._around.clock, RETRY, self._again.wait(), "nothing new")
        finally:
            self._is_telling = False

    async def _compare(self) -> None:
        self._asked += 1
        asked = self._asked
        with suppress(Closed, Unavailable):
            # Where it fails, messages are missing once more, and this begins anew.
            await self._say("who")
        await self._around.clock.sleep(RETURN_TIME)
        if asked == self._asked:
            for roster in self._members.elsewhere - self._heard:
                self._on_change(self._members.replace(roster, ()))

    async def _hear_from(self, others: int) -> None:
        while len(self._heard) < others:
            self._news.clear()
            await self._news.wait()

    async def _say(self, kind: str, data: Any = None) -> int:
        text = "" if data is None else json_text(data)
        return await self._around.bus.publish(self._topic, MARK + f"{self._id}\n{kind}\n{text}".encode())


def _as_data(members: Mapping[str, Member]) -> dict[str, Any]:
    return {user_id: member.user_info for user_id, member in members.items()}


def _difference(before: Mapping[str, Member], now: Mapping[str, Member]) -> dict[str, Any]:
    joined = {user_id: member for user_id, member in now.items() if before.get(user_id) != member}
    return {"joined": _as_data(joined), "left": [user_id for user_id in before if user_id not in now]}


def _members(data: Mapping[str, Any]) -> list[Member]:
    return [Member(user_id, user_info) for user_id, user_info in data.items()]
