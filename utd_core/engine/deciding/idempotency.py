"""A command that is sent twice under one key is done once, and answered twice with the first answer.

Answers are kept in the same transaction as what the command changed, so a repeat is recognised after a restart too.
A refusal changed nothing and is not kept: the repeat is decided anew.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from ...errors import Conflict, ErrorCode, InvalidInput, Refused, StoreFailed
from ...model.codec import adapter
from ...model.command import Actor, Command
from ...model.commands import CreateSession, JoinRoom
from ...store.base import Answer, Commit, Store
from ..identity.tokens import Terms
from .aggregates import Keyed

T = TypeVar("T")

MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class Placed:
    """What `JoinRoom` decided: the identity has a place in the room. The ticket is made afterwards, each time anew.
    `fresh`: the identity was not in the room before."""

    room: str
    identity: str
    device: str
    fresh: bool


def keyed(command: Command, actor: Actor, key: Any) -> Keyed:
    """The key with the command's fingerprint. Raises `InvalidInput` for a key that is none."""
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise InvalidInput(f"an idempotency key is 1 to {MAX_KEY} printable characters, got {key!r:.80}")
    text = f"{command.spec.name} {command.model_dump_json()}"
    return Keyed(actor.identity, key, hashlib.sha256(text.encode()).hexdigest()[:32])


def kept(keyed: Keyed, command: Command, answer: Any, at: float) -> Answer:
    """The answer as the store keeps it."""
    payload = b"null" if answer is None else adapter(_shape(command)).dump_json(answer)
    return Answer(keyed.actor, keyed.key, keyed.fingerprint, payload, at)


def _shape(command: Command) -> Any:
    """What is kept of an answer. No ticket or token is: they are made of it."""
    if isinstance(command, CreateSession):
        return Terms
    return Placed if isinstance(command, JoinRoom) else command.spec.result


class Idempotency:
    """Answers given before, and commands under way."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._under_way: dict[tuple[str, str], tuple[str, asyncio.Future[None]]] = {}

    async def once(self, keyed: Keyed, command: Command, submit: Callable[[], asyncio.Future[Any]]) -> Any:
        """The kept answer, or that of the job which `submit` starts. A repeat waits for the first, even if the caller
        of the first has gone. Raises `Conflict` (idempotency_mismatch), and what the job raises."""
        name = (keyed.actor, keyed.key)
        while (other := self._under_way.get(name)) is not None:
            self._check(keyed, other[0])
            await asyncio.wait([other[1]])
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way[name] = (keyed.fingerprint, ended)
        job: asyncio.Future[Any] | None = None
        try:
            first = await self.answered(keyed, command)
            if first is not None:
                return first[0]
            job = submit()
        finally:
            if job is None:
                self._end(name, ended)
        job.add_done_callback(lambda _: self._end(name, ended))
        try:
            return await asyncio.shield(job)
        except Refused:
            # Perhaps because another engine on this store has done it, a moment ago.
            first = await self.answered(keyed, command)
            if first is None:
                raise
            return first[0]

    async def first(self, keyed: Keyed, command: Command, answer: T, at: float) -> T:
        """The kept answer; or this one, which is kept from now on. For a command that is decided on nothing.

        Raises `Conflict` (idempotency_mismatch) or `StoreFailed`.
        """
        first: tuple[T] | None = await self.answered(keyed, command)
        if first is not None:
            return first[0]
        try:
            await self._store.commit(Commit(answers=[kept(keyed, command, answer, at)]))
        except Conflict:
            # Somebody has answered it a moment ago.
            first = await self.answered(keyed, command)
            if first is None:
                raise
            return first[0]
        return answer

    def _end(self, name: tuple[str, str], ended: asyncio.Future[None]) -> None:
        del self._under_way[name]
        ended.set_result(None)

    async def answered(self, keyed: Keyed, command: Command) -> tuple[Any] | None:
        """The kept answer, in a tuple as it may be None. Raises `Conflict` (idempotency_mismatch) or `StoreFailed`."""
        answer = await self._store.answer(keyed.actor, keyed.key)
        if answer is None:
            return None
        self._check(keyed, answer.fingerprint)
        if answer.payload == b"null":
            return (None,)
        try:
            return (adapter(_shape(command)).validate_json(answer.payload),)
        except ValidationError as error:
            raise StoreFailed(f"the kept answer to {command.spec.name} cannot be read: {error}") from error

    def _check(self, keyed: Keyed, fingerprint: str) -> None:
        if fingerprint != keyed.fingerprint:
            raise Conflict(
                f"idempotency key {keyed.key!r} was used for another command; take a new key for each command",
                code=ErrorCode.IDEMPOTENCY_MISMATCH,
            )
