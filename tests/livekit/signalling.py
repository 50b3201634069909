"""LiveKit's signalling by hand: what the server itself says to somebody with a ticket."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import aiohttp
from livekit.protocol.models import TrackSource, TrackType
from livekit.protocol.rtc import AddTrackRequest, SignalRequest, SignalResponse

SOURCES = TrackSource.keys()
"""All that LiveKit knows, UNKNOWN too."""
_VIDEO = {"CAMERA", "SCREEN_SHARE"}
_PATIENCE = 20.0


class Signalling:
    """One connection, without any media. `tickets`: the newer ones that the server sent, the last at the end."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.tickets: list[str] = []
        self._socket = socket
        self._numbers = count()

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, ticket: str) -> AsyncIterator[Signalling]:
        """Come in; it has happened when this begins."""
        address = f"{url}/rtc?access_token={ticket}&protocol=16&auto_subscribe=1"
        async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
            signalling = cls(socket)
            while (await signalling.hear()).WhichOneof("message") != "join":
                pass
            yield signalling

    async def hear(self) -> SignalResponse:
        """What the server says next."""
        async with asyncio.timeout(_PATIENCE):
            response = SignalResponse.FromString(await self._socket.receive_bytes())
        if response.WhichOneof("message") == "refresh_token":
            self.tickets.append(response.refresh_token)
        return response

    async def ticket_for(self, source: str) -> str:
        """A newer ticket with which this may be published (`microphone`), once there is one."""
        while not self.tickets or f'"{source}"' not in _claims(self.tickets[-1]):
            await self.hear()
        return self.tickets[-1]

    async def may_publish(self, source: str) -> bool:
        """Ask to publish something of this source (one of `SOURCES`); what the server answers."""
        cid = f"track-{next(self._numbers)}"
        kind = TrackType.VIDEO if source in _VIDEO else TrackType.AUDIO
        wanted = AddTrackRequest(cid=cid, name=cid, type=kind, source=source)
        await self._socket.send_bytes(SignalRequest(add_track=wanted).SerializeToString())
        while True:
            said = await self.hear()
            if said.track_published.cid == cid:
                return True
            if said.request_response.add_track.cid == cid:
                return False


def _claims(ticket: str) -> str:
    body = ticket.split(".")[1]
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
