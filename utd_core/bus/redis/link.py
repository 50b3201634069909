"""One connection to Redis that is made again whenever it is lost.

Commands go out together with those that wait, and are answered in the order in which they were sent, so nobody waits
for somebody else's answer. What was sent over a connection that is lost is never sent again.

Nothing here waits on an engine's clock: a Redis answers in its own time, whatever time a test pretends.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Any

import anyio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from ...errors import Closed, Unavailable, UTDStreamException
from .address import Address
from .faults import DRIVER_ERRORS, explain, is_refusal, words_for

log = logging.getLogger("utd_core.bus")

MOST_WAITING = 16_384
"""Commands without an answer; one more is refused, as Redis does not keep up."""

IN_A_ROW = 64
"""Messages that are read before anybody else has a turn on the event loop."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

Words = str | bytes


@dataclass(slots=True, eq=False)
class _Command:
    """Something that was sent. `answers`: how many are still to come; `answered` is called with the last of them."""

    sent_at: float
    answers: int
    done: asyncio.Future[Any]
    answered: Callable[[], None] | None


class Link:
    """Runs in one task, `run`. `patience`: seconds that Redis may take for anything.

    `up` is called when there is a connection (again), `push` with what comes without having been asked for.
    """

    def __init__(
        self,
        address: Address,
        patience: float,
        *,
        up: Callable[[], None] | None = None,
        push: Callable[[Sequence[bytes]], None] | None = None,
    ) -> None:
        self._address = address
        self._patience = patience
        self._up = up
        self._push = push
        self._outgoing: list[bytes] = []
        self._has_outgoing = asyncio.Event()
        self._commands: deque[_Command] = deque()
        self._packer = address.connect()
        # It was tried once to make a connection, which takes `patience` at most.
        self._tried = asyncio.Event()
        self._is_up = asyncio.Event()
        self._ended = False
        self._up_since = self._heard_at = self._away_since = monotonic()
        self._why: BaseException = TimeoutError("no connection yet")

    @property
    def is_up(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._is_up.is_set() and not self._ended

    @property
    def lasting(self) -> float:
        """Seconds for which it has been up; where it is down, since Redis said anything."""
        return monotonic() - (self._up_since if self.is_up else self._heard_at)

    def end(self) -> None:
        """Whoever waits gets `Closed`, and so does everybody who comes; `run` is to be cancelled next. Idempotent."""
        self._ended = True
        self._is_up.set()
        self._tried.set()

    async def wait(self) -> None:
        """Until there is a connection. Raises `Closed`, and `Unavailable` once there was none for `patience`, or at
        once where Redis refuses us."""
        await self._tried.wait()
        if not self._is_up.is_set():
            if is_refusal(self._why):
                raise self._error()
            try:
                async with asyncio.timeout_at(_loop_time(self._away_since + self._patience)):
                    await self._is_up.wait()
            except TimeoutError:
                raise self._error() from None
        if self._ended:
            raise self._error()

    def send(self, *words: Words, answers: int = 1, answered: Callable[[], None] | None = None) -> asyncio.Future[Any]:
        """Send a command now, while it is up; the future has its (last) answer."""
        self._outgoing += self._packer.pack_command(*words)
        self._has_outgoing.set()
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._commands.append(_Command(monotonic(), answers, done, answered))
        return done

    async def ask(self, *words: Words) -> Any:
        """What Redis answers to a command.

        Raises `Closed`, and `Unavailable` after `patience`, when the connection is lost, and when too many ask.
        """
        await self.wait()
        if len(self._commands) >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} messages wait for {self._address.name} already; it does not keep up")
        done = self.send(*words)
        try:
            async with asyncio.timeout(self._patience):
                return await done
        except TimeoutError:
            raise explain(TimeoutError(f"nothing within {self._patience:g} s"), self._address.name) from None

    async def run(self) -> None:
        """Be connected, again and again, until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            connection: Any = self._address.connect()
            try:
                async with asyncio.timeout(self._patience):
                    await connection.connect()
            except DRIVER_ERRORS as error:
                self._why = error
                self._tried.set()
            else:
                pause = _FIRST_PAUSE
                await self._live(connection)
            # Jitter, so that the nodes do not all come back in the same moment.
            await asyncio.sleep(random.uniform(0.1, 1.0) * pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _live(self, connection: AbstractConnection) -> None:
        """Use a connection until it is lost."""
        # redis-py forgets its writer when it disconnects, also while something is still to be sent.
        writer: asyncio.StreamWriter = connection._writer  # type: ignore[assignment]  # it is connected
        self._up_since = self._heard_at = monotonic()
        self._is_up.set()
        self._tried.set()
        try:
            if self._up is not None:
                self._up()
            async with anyio.create_task_group() as group:
                for work in (self._write, self._read, self._watch):
                    group.start_soon(self._until_lost, work, connection, group.cancel_scope)
        finally:
            if not self._ended:
                self._is_up.clear()
            self._away_since = monotonic()
            self._outgoing.clear()
            self._has_outgoing.clear()
            while self._commands:
                self._fail(self._error())
            # What was not sent yet is not waited for: the other side may never take it.
            writer.transport.abort()
            with anyio.CancelScope(shield=True):
                await connection.disconnect(nowait=True)

    async def _until_lost(self, work: Any, connection: AbstractConnection, life: anyio.CancelScope) -> None:
        try:
            await work(connection)
        except DRIVER_ERRORS as error:
            if not life.cancel_called:
                self._why = error
                log.warning("the message bus %s was lost: %s", self._address.name, words_for(error))
            life.cancel()

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._has_outgoing.wait()
            self._has_outgoing.clear()
            outgoing, self._outgoing = self._outgoing, []
            await connection.send_packed_command(outgoing, check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        for number in count(1):
            if not number % IN_A_ROW:
                # What has arrived already is read without a wait.
                await asyncio.sleep(0)
            try:
                answer = await connection.read_response(disable_decoding=True)
            except ResponseError as error:
                self._heard_at = monotonic()
                self._fail(explain(error, self._address.name))
                continue
            self._heard_at = monotonic()
            if self._push is not None and type(answer) is list and answer[0] == b"message":
                self._push(answer)
                continue
            command = self._commands[0]
            command.answers -= 1
            if not command.answers:
                self._commands.popleft()
                if not command.done.done():
                    command.done.set_result(answer)
                if command.answered is not None:
                    command.answered()

    async def _watch(self, connection: AbstractConnection) -> None:
        """See that it still answers, also when nobody asks anything."""
        while True:
            if not self._commands:
                self.send("PING")
            left = self._commands[0].sent_at + self._patience - monotonic()
            if left <= 0:
                raise TimeoutError(f"nothing within {self._patience:g} s")
            await asyncio.sleep(min(left, self._patience / 2))

    def _fail(self, error: UTDStreamException) -> None:
        """The oldest command has no answer but this."""
        done = self._commands.popleft().done
        if not done.done():
            done.set_exception(error)
            # Retrieved: whoever gave up waiting does not want to know.
            done.exception()

    def _error(self) -> UTDStreamException:
        if self._ended:
            return Closed(f"the message bus {self._address.name} was closed")
        return explain(self._why, self._address.name)


def _loop_time(moment: float) -> float:
    """A moment of `monotonic` on the event loop's clock."""
    return asyncio.get_running_loop().time() + moment - monotonic()
