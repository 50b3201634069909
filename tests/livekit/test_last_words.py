"""What a caller says last gets through a wire, though he has hung up and does not listen; no LiveKit server needed."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from utd_livekit.server.wire import Wire

HEAD = b"GET /rtc HTTP/1.1\r\n\r\n"
GOODBYE = b"goodbye"
CALLS = 50
PATIENCE = 30.0


async def test_a_goodbye_is_not_lost_to_what_the_server_says_meanwhile_to_somebody_who_has_hung_up() -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def talk() -> None:
            with suppress(OSError):
                while True:
                    writer.write(bytes(1_000))
                    await writer.drain()
                    await asyncio.sleep(0)

        talking = asyncio.create_task(talk())
        said = b""
        with suppress(OSError):
            while data := await reader.read(1_000):
                said += data
        talking.cancel()
        writer.transport.abort()
        heard.put_nowait(said)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Wire(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}") as wire:
        near = urlsplit(await wire.open())
        for _ in range(CALLS):
            call = await asyncio.to_thread(socket.create_connection, (near.hostname, near.port))
            call.sendall(HEAD)
            await asyncio.to_thread(call.recv, 1)
            call.sendall(GOODBYE)
            call.close()
            async with asyncio.timeout(PATIENCE):
                assert await heard.get() == HEAD + GOODBYE
