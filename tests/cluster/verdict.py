"""What the store has at the end, beside what everybody was told: the four things that no failure may touch.

1. Nothing that was acknowledged is lost.
2. Nothing is applied twice: each command has its event once, each timer fired once and not before its time.
3. Everybody's state is that of the store.
4. Nobody missed an event without having been told so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Self, TypeVar

from utd_core.model.call import Call, CallEnded
from utd_core.model.channels import call_channel, room_channel
from utd_core.model.codec import load
from utd_core.model.event import Event
from utd_core.model.room import MetadataChanged, Room
from utd_core.model.seats import SeatLeft, SeatTaken
from utd_core.store import open_store
from utd_core.store.base import Store

from .fleet import PROJECT
from .load import RING, Caller, Writer
from .people import ROOM, Host, Person, Speaker

T = TypeVar("T")

_ALL = 1_000_000


class Truth:
    """The store's rows, read past all nodes, inside `async with`."""

    def __init__(self, url: str) -> None:
        self._database = open_store(url)
        self._store: Store

    async def __aenter__(self) -> Self:
        await self._database.open()
        self._store = self._database.scoped(PROJECT.app_id)
        await self._store.open()
        return self

    async def __aexit__(self, *exit: object) -> None:
        await self._store.aclose()
        await self._database.aclose()

    async def room(self, name: str) -> Room:
        return await self._state(Room, "room", name)

    async def call(self, id: str) -> Call:
        return await self._state(Call, "call", id)

    async def events(self, channel: str) -> list[Event]:
        """All that was ever published on a channel."""
        head = await self._store.head(channel)
        envelopes = await self._store.history(channel, head.epoch, 0, _ALL)
        assert envelopes is not None, f"the beginning of {channel} is not held any more"
        assert [each.offset for each in envelopes] == list(range(1, head.offset + 1))
        return [each.event for each in envelopes]

    async def _state(self, kind: type[T], name: str, key: str) -> T:
        row = await self._store.load(name, key)
        assert row is not None, f"{name} {key} was acknowledged, and is not there"
        return load(kind, row.payload)


async def judge_writer(writer: Writer, truth: Truth) -> None:
    """Each revision was made once, and by the command that was answered with it."""
    events = await truth.events(room_channel(writer.room))
    made = [(each.revision, each.metadata["n"]) for each in events if isinstance(each, MetadataChanged)]
    assert made == [(n, n) for n in range(1, writer.acknowledged + 1)], writer.room
    assert (await truth.room(writer.room)).metadata == {"n": writer.acknowledged}


async def judge_calls(caller: Caller, truth: Truth) -> None:
    """Each call that was begun is over, once, when its time was."""
    for id in caller.acknowledged:
        call, events = await truth.call(id), await truth.events(call_channel(id))
        ends = [each for each in events if isinstance(each, CallEnded)]
        assert [each.reason for each in ends] == ["no_answer"], f"the timer of {id}"
        assert ends[0].at - call.created_at >= RING - 0.001, f"the timer of {id} was early"


async def judge_person(person: Person, truth: Truth) -> None:
    events = await truth.events(room_channel(ROOM))
    judge_deeds(person, events)
    judge_hearing(person, events)
    assert person.mirrored == await truth.room(ROOM), f"{person.identity} has another room than the store"


def judge_deeds(person: Person, events: Sequence[Event]) -> None:
    if isinstance(person, Host):
        shown: list[object] = [each.metadata["n"] for each in events if isinstance(each, MetadataChanged)]
    elif isinstance(person, Speaker):
        shown = [
            "taken" if isinstance(each, SeatTaken) else "left"
            for each in events
            if isinstance(each, SeatTaken | SeatLeft) and each.identity == person.identity
        ]
        assert all(before != after for before, after in pairwise(shown)), person.identity
    else:
        return
    counted = Counter(shown)
    done, at_most = Counter(person.done), Counter(person.done + person.unknown)
    assert not done - counted, f"{person.identity}: acknowledged and lost"
    assert not counted - at_most, f"{person.identity}: applied twice, or never asked for"


def judge_hearing(person: Person, events: Sequence[Event]) -> None:
    """What it heard is what happened, from when it joined on; but for holes that it was told of."""
    at = person.joined_at
    for number, run in enumerate(person.runs):
        if number:
            while run and list(events[at : at + len(run)]) != run:
                at += 1
                assert at < len(events), f"{person.identity} heard what never happened"
        heard_right = list(events[at : at + len(run)]) == run
        assert heard_right, f"{person.identity} missed an event after {at} of {len(events)}, and was not told"
        at += len(run)
    assert at == len(events) or not person.runs[-1], f"{person.identity} did not hear the last events"
