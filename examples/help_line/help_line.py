"""A help line: whoever calls is put through to the first agent who answers.

    python examples/help_line/help_line.py

Agents ring one after the other, for 30 seconds each. One who is in a call already is passed over at once.
`test_help_line.py` tests all of it offline, in virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from utd_core import Engine, ErrorCode, UTDCall, UTDCallSession, UTDCallStatus, UTDStreamClient, UTDStreamException
from utd_core.media import ToneAudioSource

RING_SECONDS = 30.0


async def put_through(caller: UTDCallSession, agents: Sequence[str]) -> UTDCall | None:
    """Ring the agents in turn. The call that was answered, or None when nobody was there."""
    for agent in agents:
        try:
            await caller.start(agent, ring_timeout=RING_SECONDS)
        except UTDStreamException as error:
            if error.code == ErrorCode.CALLEE_BUSY:
                continue
            raise
        status = await caller.status.wait_for(lambda now: now is UTDCallStatus.ACTIVE or is_over(now))
        if status is UTDCallStatus.ACTIVE:
            return caller.call.value
    return None


async def serve(agent: UTDStreamClient) -> None:
    """An agent at work: answer whatever rings, one call after the other."""
    await agent.authenticate()
    async with agent.call_session("audio_call") as desk:
        async for ringing in agent.incoming_calls:
            if ringing:
                await desk.accept(ringing[0].call_id)
                await desk.status.wait_for(is_over)


def is_over(status: UTDCallStatus | None) -> bool:
    return status is not None and status.is_terminal


async def main() -> None:
    async with (
        Engine("mock") as engine,
        engine.client("ada", microphone=ToneAudioSource) as ada,
        engine.client("ben", microphone=ToneAudioSource) as ben,
        ada.call_session("audio_call") as call,
    ):
        desk = asyncio.create_task(serve(ben))
        answered = await put_through(call, ["ben"])
        assert answered is not None
        print(f"{answered.callee_identity} answered")
        async with call.frames("ben") as frames:
            frame = await anext(frames)
        print(f"heard the first frame, {len(frame.data)} bytes of sound")
        await call.end()
        desk.cancel()


if __name__ == "__main__":
    asyncio.run(main())
