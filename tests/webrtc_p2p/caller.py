"""A participant in a process of its own, as an application makes it: `python -m tests.webrtc_p2p.caller`, its settings
as one JSON object on standard input.

It calls somebody, or waits to be called, and speaks the recorded voice over and over. Each line of its output is a JSON
object: a status of the call, a state of its session, how much it heard in a while, why it ended. It hangs up when its
input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

from utd_core import UTDCallStatus, UTDStreamClient
from utd_core.client import UTDCallSession
from utd_core.concurrency import TaskScope
from utd_core.media.frames import AudioFrame, Frame
from utd_core.media.sources.file import FileAudioSource
from utd_core.testing.contract.signals import loud_seconds

from .voice import VOICE

REPORT_EVERY = 0.2
"""Seconds of sound between two reports of how much of it was heard."""


@dataclass(frozen=True, slots=True)
class Role:
    """`callee`: whom to call; none: wait to be called."""

    base_url: str
    app_id: str
    app_key: str
    identity: str
    callee: str | None = None


def say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def take_part(role: Role) -> None:
    source = await FileAudioSource.open(VOICE, loop=True)
    scope = TaskScope("caller")
    async with (
        UTDStreamClient(
            role.app_id, role.app_key, base_url=role.base_url, identity=role.identity, microphone=lambda: source
        ) as client,
        client.call_session("audio_call") as call,
    ):
        await scope.open()
        call.status.subscribe(lambda status: say(status=None if status is None else status.value))
        call.state.subscribe(lambda state: say(state=state.value))
        call.ended.subscribe(lambda end: say(ended=None if end is None else end.reason.value))
        say(ready=True)
        if role.callee is not None:
            await call.start(role.callee)
        else:
            (ringing,) = await client.incoming_calls.wait_for()
            await call.accept(ringing.call_id)
        await call.status.wait_for(lambda status: status is UTDCallStatus.ACTIVE)
        scope.start(listen, call)
        await asyncio.to_thread(sys.stdin.read)
        await call.end()
    await scope.aclose()


async def listen(call: UTDCallSession) -> None:
    (other,) = await call.remote_participants.wait_for(lambda others: len(others) == 1)
    async with call.frames(other.identity) as frames:
        await report(frames)


async def report(frames: AsyncIterator[Frame]) -> None:
    while True:
        window: list[AudioFrame] = []
        async for frame in frames:
            assert isinstance(frame, AudioFrame)
            window.append(frame)
            if sum(frame.duration_us for frame in window) >= REPORT_EVERY * 1_000_000:
                break
        else:
            return
        say(heard=loud_seconds(window) / REPORT_EVERY)


def describe(role: Role) -> bytes:
    """What a process is told on its input."""
    return json.dumps(asdict(role)).encode() + b"\n"


if __name__ == "__main__":
    asyncio.run(take_part(Role(**json.loads(sys.stdin.readline()))))
