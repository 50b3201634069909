"""Who is in a room now, on which devices. Never part of the room's state: it may be a hundred thousand people.

- A *place* is one device of one identity in one media room. It is *pending* once a ticket was given, *connected* when
  the media connection is there, *missing* when that was lost; pending and missing places have a time (`until`) at
  which they are given up.
- `Presence` is the mapping identity -> devices that the rules look at, without a copy.
- The media identity is the identity itself, or `identity#device` where one identity may be on many devices.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from math import inf

from ...model.identifiers import media_identity, split_media_identity
from ...model.permission import Grant

UNKNOWN_DEVICE = ""
"""The device of somebody who was found connected after a restart; the media plane does not tell it."""


class PlaceState(Enum):
    PENDING = auto()
    CONNECTED = auto()
    MISSING = auto()


class Place:
    """`granted`: what the media backend was last known to allow. `seen_at`: time of the last sign of life that counts,
    seconds since the Unix epoch; older signs are late and mean nothing."""

    __slots__ = ("device", "granted", "seen_at", "state", "until")

    def __init__(self, device: str, seen_at: float, until: float) -> None:
        self.device = device
        self.state = PlaceState.PENDING
        self.seen_at = seen_at
        self.until = until
        self.granted: Grant | None = None


class Member:
    """An identity in a room. `joined_at`: seconds since the Unix epoch."""

    __slots__ = ("joined_at", "name", "places")

    def __init__(self, name: str, joined_at: float, places: tuple[Place, ...]) -> None:
        self.name = name
        self.joined_at = joined_at
        self.places = places


class Presence(Mapping[str, tuple[str, ...]]):
    """The members of one media room.

    - `many`: one identity may hold several places.
    - `was_before`: an engine before this one began it. `removed`: who may not pass for somebody who was there then.
    - `surveyed`: the media backend was asked who is there. `arrived`: places that were connected since it was asked,
      until its answer was looked through. `doubted`: places whose end was told, with a reason, by a notification that
      may be of an older connection.
    - Times: `sweep_at`, when overdue places are looked for, and `forgiving_until`, up to when nobody's absence counts
      (`now`); `next_survey`, when the backend may be asked again (`monotonic`).
    """

    __slots__ = (
        "_members",
        "_order",
        "_waiting",
        "arrived",
        "doubted",
        "forgiving_until",
        "many",
        "next_survey",
        "removed",
        "survey_planned",
        "surveyed",
        "sweep_at",
        "was_before",
    )

    def __init__(self, *, many: bool = False, was_before: bool = False) -> None:
        self.many = many
        self.was_before = was_before
        self.surveyed = not was_before
        self.survey_planned = False
        self.removed: set[str] = set()
        self.arrived: set[Place] | None = None
        self.doubted: dict[Place, str] = {}
        self.sweep_at = inf
        self.forgiving_until = 0.0
        self.next_survey = 0.0
        self._members: dict[str, Member] = {}
        self._waiting: dict[Place, str] = {}
        self._order: list[str] | None = None

    def __getitem__(self, identity: str) -> tuple[str, ...]:
        return tuple([place.device for place in self._members[identity].places])

    def __contains__(self, identity: object) -> bool:
        return identity in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def member(self, identity: str) -> Member | None:
        return self._members.get(identity)

    def page(self, after: str | None, limit: int) -> list[str]:
        """At most `limit` identities behind `after`, in order. The order is kept from the first call on."""
        if self._order is None:
            self._order = sorted(self._members)
        start = 0 if after is None else bisect_right(self._order, after)
        return self._order[start : start + limit]

    def media_identity(self, identity: str, device: str) -> str:
        """How the media backend calls this place."""
        return media_identity(identity, device) if self.many else identity

    def media_identities(self, identity: str) -> list[str]:
        """How the media backend calls the places of an identity."""
        member = self._members.get(identity)
        return [] if member is None else [self.media_identity(identity, place.device) for place in member.places]

    def split(self, media_identity: str) -> tuple[str, str]:
        """The (identity, device) that a media identity stands for."""
        return split_media_identity(media_identity) if self.many else (media_identity, UNKNOWN_DEVICE)

    def find(self, media_identity: str) -> tuple[str, Place] | None:
        """The identity and the place that a media identity stands for, None when nobody holds it."""
        identity, device = self.split(media_identity)
        member = self._members.get(identity)
        if member is None:
            return None
        for place in member.places:
            if not self.many or place.device == device:
                return identity, place
        return None

    def place(self, identity: str, device: str) -> Place | None:
        """The identity's place on a device."""
        member = self._members.get(identity)
        if member is not None:
            for place in member.places:
                if place.device == device:
                    return place
        return None

    def enter(self, identity: str, device: str, name: str, now: float, until: float) -> Place:
        """A place for a device; the identity's other ones end unless it may have many."""
        member = self._members.get(identity)
        if member is None:
            place = Place(device, now, until)
            self._members[identity] = Member(name, now, (place,))
            if self._order is not None:
                insort(self._order, identity)
        else:
            place = Place(device, now, until)
            others = tuple(other for other in member.places if other.device != device) if self.many else ()
            for other in member.places:
                self._waiting.pop(other, None)
            member.places = (*others, place)
            member.name = name or member.name
        self._waiting[place] = identity
        return place

    def remove(self, identity: str) -> Member | None:
        """The identity is gone, on every device."""
        member = self._members.pop(identity, None)
        if member is not None:
            for place in member.places:
                self._waiting.pop(place, None)
            if self._order is not None:
                del self._order[bisect_left(self._order, identity)]
        return member

    def drop(self, identity: str, place: Place) -> bool:
        """One place is gone; whether the identity is gone with it."""
        member = self._members.get(identity)
        if member is None or place not in member.places:
            return False
        if len(member.places) == 1:
            self.remove(identity)
            return True
        self._waiting.pop(place, None)
        member.places = tuple(other for other in member.places if other is not place)
        return False

    def restore(self, identity: str, member: Member | None, places: tuple[Place, ...]) -> None:
        """Take back what was changed for an identity: it was `member` with `places`, or not there (None)."""
        self.remove(identity)
        if member is None:
            return
        member.places = places
        self._members[identity] = member
        for place in places:
            if place.state is not PlaceState.CONNECTED:
                self._waiting[place] = identity
        if self._order is not None:
            insort(self._order, identity)

    def connected(self, place: Place, now: float) -> None:
        """The media connection of a place is there."""
        place.state = PlaceState.CONNECTED
        place.seen_at = now
        place.until = inf
        self._waiting.pop(place, None)
        if self.arrived is not None:
            self.arrived.add(place)

    def missing(self, identity: str, place: Place, now: float, until: float) -> None:
        """The media connection of a place was lost."""
        place.state = PlaceState.MISSING
        place.seen_at = now
        place.until = until
        self._waiting[place] = identity

    def expect(self, identity: str, place: Place, until: float) -> None:
        """Give a place that waits for its connection more time."""
        place.until = until
        self._waiting[place] = identity

    def next_due(self, now: float) -> float:
        """When the next place will be overdue, infinity when none waits."""
        return min((place.until for place in self._waiting if place.until > now), default=inf)

    def has_overdue(self, now: float) -> bool:
        """Whether a place's connection did not come in time."""
        return any(place.until <= now for place in self._waiting)

    def places(self) -> Iterator[tuple[str, Place]]:
        """Every place with its identity."""
        for identity, member in self._members.items():
            for place in member.places:
                yield identity, place
