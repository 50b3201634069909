"""How the control half is closed and cancelled: M61 to M63."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ...errors import Closed
from ...media.events import ConnectionState
from .harness import EVERYTHING, LISTENER, SPEAKER, Harness
from .interrupt import Closing, at_every_await, cancel
from .peer import Peer
from .proof import proves, refused

Call = Callable[[], Coroutine[Any, Any, Any]]


def control_calls(harness: Harness, room: str, track_id: str = "no-such-track") -> dict[str, Call]:
    """One call of every coroutine of the control half that the capabilities allow; `ann` is in the room."""
    control, can = harness.control, harness.capabilities
    calls: dict[str, Call] = {
        "create_room": lambda: control.create_room(harness.claim(f"{room}-more")),
        "list_rooms": control.list_rooms,
        "issue_join": lambda: control.issue_join(room, "ann", grant=EVERYTHING),
        "list_participants": lambda: control.list_participants(room),
        "remove_participant": lambda: control.remove_participant(room, "ann"),
        "close_room": lambda: control.close_room(room),
    }
    if can.grants_live:
        calls["apply_grant"] = lambda: control.apply_grant(room, "ann", SPEAKER)
    if can.server_mute and can.audio:
        calls["mute_track"] = lambda: control.mute_track(room, "ann", track_id)
    if can.profiles:
        calls["update_participant"] = lambda: control.update_participant(room, "ann", metadata="m")
    if can.data:
        calls["send_data"] = lambda: control.send_data(room, b"payload")
    return calls


async def furnish(harness: Harness) -> tuple[str, Peer, str]:
    """A room with ann in it, who publishes where sound is carried: the room, ann, the id of the track."""
    room = await harness.room()
    ann = await harness.join(room, "ann")
    track_id = (await ann.publish()).info.id if harness.capabilities.audio else "no-such-track"
    return room, ann, track_id


@proves("M61")
async def test_after_closing_every_control_method_raises_closed(harness: Harness) -> None:
    room = await harness.room()
    control = harness.control
    calls = control_calls(harness, room)
    await harness.within(harness.backend.aclose())
    for call in calls.values():
        with refused(Closed):
            await harness.within(call())
    if harness.capabilities.notifications:
        with refused(Closed):
            await harness.within(anext(control.notifications()))


@proves("M62")
async def test_a_cancelled_control_method_leaves_nothing_behind(harness: Harness) -> None:
    for name in control_calls(harness, "room"):
        stage: list[tuple[str, Peer]] = []

        async def prepare(name: str = name, stage: list[tuple[str, Peer]] = stage) -> Coroutine[Any, Any, Any]:
            room, ann, track_id = await furnish(harness)
            stage.append((room, ann))
            return control_calls(harness, room, track_id)[name]()

        async for struck in at_every_await(harness, prepare, cancel):
            assert struck.cancelled or struck.error is None, f"{name} {struck}: {struck.error!r}"
            room, ann = stage.pop()
            await harness.within(harness.control.create_room(room))
            bob = await harness.join(room, "bob", LISTENER)
            assert bob.connection.state is ConnectionState.CONNECTED, f"{name} {struck}"
            await harness.within(ann.connection.aclose())
            await harness.within(harness.control.close_room(room))
            await bob.end()


@proves("M63")
async def test_closing_the_backend_ends_a_control_method_at_every_await(harness: Harness) -> None:
    for name in control_calls(harness, "room"):
        closing = Closing(harness.close_backend)

        async def prepare(name: str = name) -> Coroutine[Any, Any, Any]:
            room, _, track_id = await furnish(harness)
            return control_calls(harness, room, track_id)[name]()

        async for struck in at_every_await(harness, prepare, closing):
            struck.ended_well()
            await closing.done(harness)
            await harness.renew()
