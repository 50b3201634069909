"""The pages of a stage: everybody once, in the order of coming, while people come and go."""

from __future__ import annotations

import pytest

from utd_core.errors import InvalidInput
from utd_core.model.commands import DemoteFromStage, GetStage, LeaveStage, PromoteToStage
from utd_core.model.results import Page
from utd_core.model.stage import StageMember

from .world import LOUNGE, RoomWorld, a_stream


def a_full_stage() -> RoomWorld:
    """The host and viewers 0 to 11, all in the same instant."""
    world = a_stream(*(f"viewer-{number}" for number in range(12)))
    for number in range(12):
        world.give("host", PromoteToStage(room=LOUNGE, identity=f"viewer-{number}"))
    return world


def page_of(world: RoomWorld, cursor: str | None) -> Page[StageMember]:
    world.give("host", GetStage(room=LOUNGE, cursor=cursor, limit=5))
    page: Page[StageMember] = world.answer
    return page


def test_pages_keep_the_order_of_coming_also_of_one_instant() -> None:
    world = a_full_stage()
    names, cursor = [], None
    while True:
        page = page_of(world, cursor)
        names += [member.identity for member in page.data]
        if (cursor := page.next) is None:
            break
    assert names == ["host", *(f"viewer-{number}" for number in range(12))]


def test_a_page_goes_on_where_it_was_when_earlier_ones_leave() -> None:
    world = a_full_stage()
    cursor = page_of(world, None).next
    world.give("host", DemoteFromStage(room=LOUNGE, identity="viewer-1"))
    assert page_of(world, cursor).data[0].identity == "viewer-4"


def test_a_page_goes_on_with_those_who_came_later_when_its_last_one_left() -> None:
    world = a_stream("early", "last", "late")
    for number, name in enumerate(("early", "last", "late")):
        world.now += 1 + number
        world.give("host", PromoteToStage(room=LOUNGE, identity=name))
    world.give("host", GetStage(room=LOUNGE, limit=3))
    cursor = world.answer.next
    world.give("last", LeaveStage(room=LOUNGE))
    assert [member.identity for member in page_of(world, cursor).data] == ["late"]


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidInput, match="begin without one"):
        page_of(a_full_stage(), "viewer-3")
