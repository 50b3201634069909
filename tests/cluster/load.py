"""Clients that nobody here is careful with: they give commands and follow channels, by whichever node answers.

- A writer replaces its room's metadata at the revision that it knows, each time under a new key, and asks again until
  it is answered. A command that was lost, or done twice, shows as a conflict, or as another revision than that of the
  last answer.
- A follower keeps the room by its events. Who is cut off comes back to another node and recovers: either without a
  hole, or the node says so (`recovered: false`), and then it reads the room anew.
- A caller starts calls that nobody answers. Each of them is over when its time is: a timer, which fires once.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import count
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from utd_core.server.pusher.signatures import channel_text, credential

from .fleet import HEADERS, PROJECT

PAUSE = 0.05
"""Seconds until somebody tries again who was not served."""
BREATH = 0.02
"""Seconds between two commands of a writer: nodes start and take over beside the load, on whatever machine this is."""
TIMEOUT = 15.0
RING = 5.0
"""Seconds that a call rings; there is no shorter time."""
_PASSES = frozenset({429, 502, 503, 504})
_AGAIN = (httpx.HTTPError, OSError, WebSocketException, InvalidHandshake, TimeoutError)

Urls = Callable[[], list[str]]


class Insistent(ABC):
    """Asks one node after the other, until it is answered. `troubles`: attempts that were not."""

    def __init__(self, number: int, urls: Urls) -> None:
        self.troubles: list[str] = []
        self._turns = count(number)
        self._urls = urls
        self._http = httpx.AsyncClient(timeout=TIMEOUT)

    async def ask(self, method: str, path: str, body: object = None, key: str = "", token: str = "") -> httpx.Response:
        """As the application's server, or whoever has the token. Whatever is repeated is the same under its key."""
        headers = {"idempotency-key": key} if key else {}
        headers |= {"authorization": f"Bearer {token}"} if token else HEADERS
        while True:
            urls = self._urls()
            url = urls[next(self._turns) % len(urls)]
            try:
                answer = await self._http.request(method, f"{url}/api/v1{path}", json=body, headers=headers)
            except (httpx.HTTPError, OSError) as error:
                self.troubles.append(f"{url}: {type(error).__name__}")
            else:
                if answer.status_code not in _PASSES:
                    assert answer.is_success, f"{key}: {answer.text}"
                    return answer
                self.troubles.append(f"{url}: {answer.json()['code']}")
            await asyncio.sleep(PAUSE)

    @abstractmethod
    async def run(self, going: asyncio.Event) -> None:
        """Give one command after the other, as long as `going` is set."""

    async def aclose(self) -> None:
        await self._http.aclose()


class Writer(Insistent):
    """One room. `acknowledged`: commands that were answered."""

    def __init__(self, number: int, urls: Urls) -> None:
        super().__init__(number, urls)
        self.room = f"room-{number}"
        self.acknowledged = 0

    @property
    def host(self) -> str:
        return f"host-of-{self.room}"

    async def make_room(self) -> None:
        body = {"room": self.room, "type": "audio_room", "as_host": True, "identity": self.host}
        await self.ask("POST", "/token", body, f"{self.room}-made")

    async def run(self, going: asyncio.Event) -> None:
        while going.is_set():
            body = {"metadata": {"n": self.acknowledged + 1}, "revision": self.acknowledged}
            answer = await self.ask("PUT", f"/rooms/{self.room}/metadata", body, f"{self.room}-{self.acknowledged}")
            assert answer.json() == self.acknowledged + 1
            self.acknowledged += 1
            await asyncio.sleep(BREATH)

    async def read(self) -> dict[str, Any]:
        """The room as the nodes show it."""
        found: dict[str, Any] = (await self.ask("GET", f"/rooms/{self.room}")).json()
        return found


class Caller(Insistent):
    """`acknowledged`: ids of the calls that were begun."""

    def __init__(self, number: int, urls: Urls) -> None:
        super().__init__(number, urls)
        self.acknowledged: list[str] = []
        self._name = f"caller-{number}"

    async def run(self, going: asyncio.Event) -> None:
        """Begin some calls a second, each by and to somebody new: whoever calls is busy."""
        while going.is_set():
            identity = f"{self._name}-{len(self.acknowledged)}"
            signed_in = await self.ask("POST", "/auth/session", {"identity": identity}, f"{identity}-in")
            body = {"type": "audio_call", "callee": f"{identity}-is-out", "ring_timeout": RING}
            begun = await self.ask("POST", "/calls", body, identity, signed_in.json()["user_token"])
            self.acknowledged.append(begun.json()["call_id"])
            await asyncio.sleep(4 * PAUSE)


class Follower:
    """Keeps the room of one writer. `place`: up to where it has heard everything; `revision`: what the room is at by
    that; `gaps`: times that it was told of a hole; `refused`: why it was not let in; `closed`: codes of its sockets.
    """

    def __init__(self, writer: Writer, number: int, urls: Urls) -> None:
        self.place: tuple[str, int] | None = None
        self.revision = 0
        self.gaps = 0
        self.heard = 0
        self.closed: list[int | None] = []
        self.refused: list[str] = []
        self.writer = writer
        self._read_anew = False
        self._channel = f"private-room.{writer.room}"
        self._turns = count(number)
        self._urls = urls

    async def run(self) -> None:
        """Follow until it is cancelled."""
        while True:
            urls = self._urls()
            url = urls[next(self._turns) % len(urls)].replace("http", "ws", 1)
            try:
                async with connect(f"{url}/app/{PROJECT.key}?protocol=7", open_timeout=5, ping_timeout=5) as socket:
                    await self._follow(socket)
            except _AGAIN:
                pass
            await asyncio.sleep(PAUSE)

    async def _follow(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                message = json.loads(text)
                await self._hear(socket, message)
        finally:
            self.closed.append(socket.close_code)

    async def _hear(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        match message["event"]:
            case "pusher:connection_established":
                await self._subscribe(socket, json.loads(message["data"])["socket_id"])
            case "pusher:ping":
                await socket.send('{"event": "pusher:pong", "data": {}}')
            case "pusher_internal:subscription_succeeded":
                if self.place is None or message["recovered"] is False:
                    self.gaps += self.place is not None
                    self._read_anew = True
                    snapshot = await self.writer.read()
                    self.place = (snapshot["epoch"], snapshot["offset"])
                    self.revision = snapshot["room"]["metadata_revision"]
            case "pusher:subscription_error":
                self.refused.append(message["data"])
                await socket.close()
            case "pusher:error":
                pass
            case _:
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        assert self.place is not None
        epoch, offset = self.place
        if message["epoch"] == epoch and message["offset"] <= offset and self._read_anew:
            # It stands in the snapshot already.
            return
        self._read_anew = False
        assert (message["epoch"], message["offset"]) == (epoch, offset + 1), f"a hole after {self.place}: {message}"
        self.place = (epoch, offset + 1)
        self.heard += 1
        if message["event"] == "metadata_changed":
            revision = json.loads(message["data"])["revision"]
            assert revision == self.revision + 1, "an event was lost, or came twice"
            self.revision = revision

    async def _subscribe(self, socket: ClientConnection, socket_id: str) -> None:
        user = json.dumps({"user_id": self.writer.host})
        auth = credential(PROJECT, channel_text(socket_id, self._channel, user))
        wish: dict[str, Any] = {"channel": self._channel, "auth": auth, "channel_data": user}
        if self.place is not None:
            wish["recover"] = {"epoch": self.place[0], "offset": self.place[1]}
        await socket.send(json.dumps({"event": "pusher:subscribe", "data": wish}))
