"""Where the cast plays: in this process with an embedded engine, or each in a process of its own with an engine on the
network.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from ...client import UTDStreamClient
from ...concurrency import Clock
from ...engine import Engine
from ...hooks import default_manager
from ...media.backend import MediaBackend
from ...media.capabilities import Capabilities
from .board import Board
from .devices import Voice
from .far import Role, far_performer
from .performers import MakeClient, NearPerformer, Performer
from .processes import Address, serving

PARTIES = ("cleo", "dan")
"""Of a call: the first is in this process, the other in one of its own."""


def is_played_apart(declared: Capabilities) -> bool:
    """Whether the backend is one for calls of two who find each other through the engine: such a call shows nothing
    while both are in one process."""
    return declared.signalling and declared.max_participants == len(PARTIES)


def client_at(address: Address, backend: MediaBackend) -> MakeClient:
    """Clients of an engine on the network."""
    return lambda identity, microphone, camera: UTDStreamClient(
        address.app_id,
        address.app_key,
        base_url=address.base_url,
        media=backend,
        identity=identity,
        name=identity.capitalize(),
        microphone=microphone,
        camera=camera,
    )


@asynccontextmanager
async def together(
    engine: Engine, names: Iterable[str], voice: Voice, board: Board, *, has_camera: bool
) -> AsyncIterator[Mapping[str, Performer]]:
    """Everybody in this process, signed in at an embedded engine, which is opened. Raises what that raises."""

    def make_client(identity: str, microphone: Any, camera: Any) -> UTDStreamClient:
        return engine.client(identity, name=identity.capitalize(), microphone=microphone, camera=camera)

    async with AsyncExitStack() as exits:
        await exits.enter_async_context(engine)
        cast = {
            name: NearPerformer(name, make_client, engine.clock, voice, board, has_camera=has_camera) for name in names
        }
        for performer in cast.values():
            await exits.enter_async_context(performer.client)
        yield cast


@asynccontextmanager
async def apart(
    name: str, settings: Mapping[str, Any], clock: Clock, voice: Voice, board: Board, *, has_camera: bool
) -> AsyncIterator[Mapping[str, Performer]]:
    """The parties of a call in two processes, signed in at a `utd serve` of their own. `name`: the backend's.

    Raises what making the backend raises, and `UTDStreamException` when a process does not start.
    """
    here, there = PARTIES
    async with AsyncExitStack() as exits:
        # First of all: what is wrong with the settings is said by the backend itself.
        backend = await default_manager().make_backend(name, settings, clock)
        exits.push_async_callback(backend.aclose)
        # Its process gets ready while the server does.
        far = await exits.enter_async_context(far_performer(there, voice.seconds, clock, board))
        address = await exits.enter_async_context(serving(name, json.dumps(dict(settings)), clock))
        board.say(f"utd serve listens at {address.base_url}")
        near = NearPerformer(here, client_at(address, backend), clock, voice, board, has_camera=has_camera)
        await exits.enter_async_context(near.client)
        await far.meet(
            Role(
                there,
                address.base_url,
                address.app_id,
                address.app_key,
                name,
                dict(settings),
                str(voice.path),
                has_camera,
            )
        )
        board.say(f"{here} is in this process, {there} in another")
        yield {here: near, there: far}
