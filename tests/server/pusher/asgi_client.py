"""A client of the sockets without a network: it is what an ASGI server would be, and can stop reading."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Message

DEADLINE = 10.0


class Gone(Exception):
    """What a server raises in `send` when the client is not there any more."""


class Ended(Exception):
    """The server has closed the connection; the client waits for something that does not come."""


class AsgiClient:
    """`async with` connects. `code` and `reason` are those of the server's close."""

    def __init__(
        self,
        app: ASGIApp,
        path: str = "/app/key",
        query: str = "protocol=7&client=test&version=1",
        *,
        origin: str | None = None,
        address: str = "192.0.2.1",
        extensions: dict[str, Any] | None = None,
    ) -> None:
        self.app = app
        self.code: int | None = None
        self.reason = ""
        self.socket_id = ""
        self.greeting: dict[str, Any] = {}
        self.raised: BaseException | None = None
        headers = [(b"host", b"test")] + ([(b"origin", origin.encode())] if origin else [])
        self._scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": (address, 1234),
            "extensions": extensions or {},
        }
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})
        self.heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._reads = asyncio.Event()
        self._reads.set()
        self._gone = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def connect(self) -> Self:
        """Open the connection, and read how the server greets."""
        self._task = asyncio.create_task(self._run())
        self.greeting = await self.hear()
        if self.greeting["event"] == "pusher:connection_established":
            self.socket_id = json.loads(self.greeting["data"])["socket_id"]
        return self

    async def leave(self) -> None:
        """Hang up, and wait for the server's end of it."""
        assert self._task is not None
        self.hang_up()
        await asyncio.wait_for(asyncio.shield(self._task), DEADLINE)

    def hang_up(self) -> None:
        """Be gone, from one moment to the next."""
        if not self._gone:
            self._gone = True
            self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
            self._reads.set()

    def stop_reading(self) -> None:
        """From now on the server's buffer is full."""
        self._reads.clear()

    def read_on(self) -> None:
        self._reads.set()

    def say_text(self, text: str) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", "text": text})

    def say_bytes(self, data: bytes) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", "bytes": data})

    def say(self, event: str, data: Any = None, **fields: Any) -> None:
        """Send a message."""
        self.say_text(json.dumps({"event": event, "data": {} if data is None else data, **fields}))

    def subscribe(self, channel: str, **fields: Any) -> None:
        self.say("pusher:subscribe", {"channel": channel, **fields})

    async def hear(self, event: str | None = None) -> dict[str, Any]:
        """The next message, which must be of this event if one is given. Raises `Ended`."""
        message = await asyncio.wait_for(self.heard.get(), DEADLINE)
        if message is None:
            self.heard.put_nowait(None)
            raise Ended(f"closed with {self.code}: {self.reason}")
        assert event is None or message["event"] == event, message
        return message

    async def hear_data(self, event: str | None = None) -> Any:
        """The same, and only what is in its data."""
        return json.loads((await self.hear(event))["data"])

    async def hear_nothing(self) -> None:
        """Whatever was said is answered by now, and nothing else has come."""
        self.say("pusher:ping")
        await self.hear("pusher:pong")

    async def closed(self) -> int:
        """The code with which the server closes; what was sent before is skipped."""
        try:
            while True:
                await self.hear()
        except Ended:
            assert self.code is not None
            return self.code

    async def _run(self) -> None:
        try:
            await self.app(self._scope, self._inbox.get, self._send)
        except BaseException as error:
            self.raised = error
            raise
        finally:
            self.heard.put_nowait(None)

    async def _send(self, message: Message) -> None:
        await self._reads.wait()
        if self._gone:
            raise Gone
        match message["type"]:
            case "websocket.accept":
                pass
            case "websocket.send":
                self.heard.put_nowait(json.loads(message["text"]))
            case "websocket.close":
                self.code, self.reason = message["code"], message["reason"]
                self._gone = True
                self._inbox.put_nowait({"type": "websocket.disconnect", "code": self.code})


Connect = Callable[..., AsgiClient]
