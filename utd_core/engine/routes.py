"""How each command of the table is carried out: which queue decides about it, and what belongs to its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

from ..concurrency import Clock
from ..errors import Forbidden, InvalidInput
from ..model.bans import check_not_banned
from ..model.command import COMMANDS, Actor, Command
from ..model.commands import CallCommand, CreateSession, JoinRoom, ListCalls, ListRooms, RoomCommand, StartCall
from ..model.commands.bans import BanCommand
from ..model.results import UserSession, UTDCall
from .deciding.idempotency import Placed, keyed
from .deciding.journal import new_call_id
from .kinds import CALL, PROJECT, ROOM, Kind
from .machinery import Machinery

T = TypeVar("T")


class OrClosed(Protocol):
    """The result of an operation, or `Closed` when the engine is closed meanwhile."""

    async def __call__(self, operation: Awaitable[T], /) -> T: ...


class Routes:
    """Those of one engine. `running` is its machinery, asked for anew after every wait, as it raises `Closed` once the
    engine is closed."""

    def __init__(self, app_id: str, clock: Clock, running: Callable[[], Machinery], or_closed: OrClosed) -> None:
        self._app_id = app_id
        self._clock = clock
        self._running = running
        self._or_closed = or_closed

    def of(self, command: Command) -> Callable[[Any, Actor, str | None], Awaitable[Any]]:
        """What carries a command out: it takes the command, the actor and the idempotency key. Raises `InvalidInput`
        for one that is not in the table."""
        route = ROUTES.get(type(command))
        if route is None:
            raise InvalidInput(f"{type(command).__name__} is no command of this engine")
        return partial(route, self)

    async def _decide(self, kind: Kind, key: str, command: Command, actor: Actor, idempotency_key: str | None) -> Any:
        machinery = self._running()
        if idempotency_key is None or command.spec.query:
            return await machinery.pipeline.submit(kind, key, command, actor)
        name = keyed(command, actor, idempotency_key)
        once = machinery.idempotency.once(
            name, command, lambda: machinery.pipeline.submit(kind, key, command, actor, name)
        )
        return await self._or_closed(once)

    async def _room(self, command: RoomCommand, actor: Actor, idempotency_key: str | None) -> Any:
        return await self._decide(ROOM, command.room, command, actor, idempotency_key)

    async def _join(self, command: JoinRoom, actor: Actor, idempotency_key: str | None) -> Any:
        joiner = _joiner(command, actor)
        named = command.model_copy(
            update={"identity": joiner.identity, "device_id": joiner.device, "name": joiner.name}
        )
        if joiner.generation is not None:
            machinery = self._running()
            await self._or_closed(machinery.generations.check_to_join(joiner, command.room, machinery.pipeline))
        placed: Placed = await self._room(named, joiner, idempotency_key)
        return await self._or_closed(self._running().tickets.for_room(placed, joiner))

    async def _ban(self, command: BanCommand, actor: Actor, idempotency_key: str | None) -> Any:
        if command.room is None:
            return await self._decide(PROJECT, self._app_id, command, actor, idempotency_key)
        return await self._decide(ROOM, command.room, command, actor, idempotency_key)

    async def _start_call(self, command: StartCall, actor: Actor, idempotency_key: str | None) -> Any:
        id = new_call_id(self._clock.now())
        return await self._with_ticket(await self._decide(CALL, id, command, actor, idempotency_key), actor)

    async def _call(self, command: CallCommand, actor: Actor, idempotency_key: str | None) -> Any:
        return await self._with_ticket(await self._decide(CALL, command.id, command, actor, idempotency_key), actor)

    async def _with_ticket(self, call: UTDCall, actor: Actor) -> UTDCall:
        if actor.is_trusted or call.status.is_terminal:
            return call
        return await self._or_closed(self._running().tickets.for_call(call, actor))

    async def _list_rooms(self, command: ListRooms, actor: Actor, idempotency_key: str | None) -> Any:
        return await self._or_closed(self._running().lists.rooms(command))

    async def _list_calls(self, command: ListCalls, actor: Actor, idempotency_key: str | None) -> Any:
        return await self._or_closed(self._running().lists.calls(command, actor))

    async def _sign_in(self, command: CreateSession, actor: Actor, idempotency_key: str | None) -> UserSession:
        machinery = self._running()
        if not actor.is_trusted and command.identity != actor.identity:
            raise Forbidden("only the application's server signs others in; sign in as yourself")
        check_not_banned(machinery.core.bans, command.identity, self._clock.now())
        user = Actor(command.identity, command.device_id, command.name, actor.generation)
        generation = await self._or_closed(machinery.generations.check(user))
        terms = machinery.tokens.terms(generation)
        if idempotency_key is not None:
            name = keyed(command, actor, idempotency_key)
            first = await self._or_closed(machinery.idempotency.first(name, command, terms, self._clock.now()))
            # One that is good for nothing any more is no answer.
            if first.generation >= generation and first.expires_at > self._clock.now():
                terms = first
        return UserSession(command.identity, machinery.tokens.issue(user, terms), terms.expires_at)


def _joiner(command: JoinRoom, actor: Actor) -> Actor:
    """Who joins, on which device. Raises `Forbidden` when a user names somebody else."""
    if actor.is_trusted:
        if command.identity is None:
            raise InvalidInput("the server is in no room; name the identity that joins")
        return Actor(command.identity, command.device_id, command.name)
    if command.identity not in (None, actor.identity):
        raise Forbidden(f"{actor.identity!r} cannot join as {command.identity!r}; only the server joins for others")
    device = command.device_id if "device_id" in command.model_fields_set else actor.device
    return Actor(actor.identity, device, command.name or actor.name, actor.generation)


Route = Callable[[Routes, Any, Actor, str | None], Awaitable[Any]]

_OWN_ROUTES: Mapping[type[Command], Route] = {
    JoinRoom: Routes._join,
    CreateSession: Routes._sign_in,
    StartCall: Routes._start_call,
    ListRooms: Routes._list_rooms,
    ListCalls: Routes._list_calls,
}
_FAMILY_ROUTES: Mapping[type[Command], Route] = {
    RoomCommand: Routes._room,
    CallCommand: Routes._call,
    BanCommand: Routes._ban,
}


def _route(command: type[Command]) -> Route | None:
    """How a command of the table is carried out: by a way of its own, or that of its family."""
    families = (route for family, route in _FAMILY_ROUTES.items() if issubclass(command, family))
    return _OWN_ROUTES.get(command) or next(families, None)


ROUTES = {command: route for command in COMMANDS.values() if (route := _route(command)) is not None}
