"""A process of control halves: `python -m tests.webrtc_p2p.far_control` prints its port; it ends when its input does.

Each connection gets a backend of its own, and a port for signalling. It asks for methods of the control half, and hears
notifications.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from typing import Any

from utd_core.concurrency import TaskScope
from utd_core.errors import UTDStreamException
from utd_core.server.cluster.messages import refusal_of
from utd_core.testing.signalling import HOST, SignallingServer
from utd_webrtc_p2p.backend import P2PBackend


def write(writer: asyncio.StreamWriter, message: Any) -> None:
    """Say something: its length (4 bytes), and itself."""
    data = pickle.dumps(message)
    if not writer.is_closing():
        writer.write(len(data).to_bytes(4) + data)


async def read(reader: asyncio.StreamReader) -> Any:
    """What comes next. Raises `IncompleteReadError`, `OSError`."""
    return pickle.loads(await reader.readexactly(int.from_bytes(await reader.readexactly(4))))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One backend, as long as somebody is connected."""
    scope = TaskScope("far control half")
    async with P2PBackend({"loopback": "always"}) as backend, SignallingServer(backend.board) as signalling:
        await scope.open()

        async def notify() -> None:
            async for notification in backend.control.notifications():
                write(writer, (None, notification))

        async def answer(number: int, method: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            owner = backend if method == "inject" else backend.control
            try:
                answer = await getattr(owner, method)(*arguments, **named)
            except UTDStreamException as error:
                answer = refusal_of(error)
            write(writer, (number, answer))

        scope.start(notify)
        write(writer, (None, signalling.port))
        try:
            while True:
                scope.start(answer, *await read(reader))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            await scope.aclose()
            writer.close()


async def main() -> None:
    serving = TaskScope("far control halves")
    await serving.open()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.start(serve, reader, writer)

    server = await asyncio.start_server(accept, HOST, 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    await serving.aclose()


if __name__ == "__main__":
    asyncio.run(main())
