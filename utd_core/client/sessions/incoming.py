"""Calls that ring for the signed-in user now, on whatever device."""

from __future__ import annotations

from ...broker.base import Subscription
from ...concurrency import TaskScope
from ...errors import Closed, UTDStreamException
from ...model.call import Call, CallStarted, UTDCallStatus, apply
from ...model.channels import user_channel
from ...model.command import Aggregate
from ...model.commands import ListCalls
from ...model.results import Page, UTDCall
from ...model.rules import call_view
from ...store.base import Envelope
from ..link import EngineLink
from ..policy import RetryPolicy
from ..state.call_state import call_of
from ..state.mirror import Mirror, Snapshot
from ..state.observable import Observable, Variable
from .session import log

_RINGING = (UTDCallStatus.INITIATING, UTDCallStatus.RINGING)

Calls = dict[str, Call]


class IncomingCalls:
    """Follows the user's own channel. A call is here from its start to its answer or end, wherever that happens."""

    def __init__(self, link: EngineLink, identity: str, scope: TaskScope, retry: RetryPolicy) -> None:
        self._link = link
        self._identity = identity
        self._scope = scope
        self._ringing: Variable[tuple[UTDCall, ...]] = Variable((), scope, link.clock)
        self._mirror: Mirror[Calls] = Mirror(
            link,
            user_channel(identity),
            read=self._read,
            apply=self._apply,
            follower=self,
            retry=retry,
            identity=identity,
        )

    @property
    def ringing(self) -> Observable[tuple[UTDCall, ...]]:
        return self._ringing

    async def open(self) -> None:
        """Begin to follow. Raises what the engine refuses it with."""
        await self._mirror.open()
        try:
            self._scope.start(self._mirror.run, name="incoming calls")
        except Closed:
            self.close()
            raise

    def close(self) -> None:
        """Nothing rings any more. Idempotent."""
        self._mirror.stop()
        self._ringing.close()

    def changed(self, envelope: Envelope | None) -> None:
        """The calls have changed."""
        self._ringing.set(
            tuple(
                call_view(call)
                for call in self._mirror.state.values()
                if call.callee == self._identity and call.status in _RINGING
            )
        )

    def recovering(self) -> None:
        """What rings may be old for a moment."""

    def resynced(self, recovered: bool) -> None:
        """What rings is true again; a call that came and went in a gap has left no trace."""

    def lost(self, error: UTDStreamException | None) -> None:
        """Nothing can ring here any more."""
        log.warning("%s hears of no incoming call any more: %s", self._identity, error or "the channel was closed")
        self._ringing.set(())

    async def _read(self, subscription: Subscription) -> Snapshot[Calls]:
        """The calls that go on, read after the subscription: what both tell of one call agrees in the end."""
        page: Page[UTDCall] = await self._link.execute(ListCalls())
        going_on = [call_of(view) for view in page.data if not view.status.is_terminal]
        head = subscription.head
        return Snapshot({call.id: call for call in reversed(going_on)}, head.epoch, head.offset)

    def _apply(self, calls: Calls, envelope: Envelope) -> Calls:
        if envelope.kind != Aggregate.CALL:
            return calls
        known = calls.get(envelope.key)
        if known is None and not isinstance(envelope.event, CallStarted):
            # It was over when the calls were read.
            return calls
        call = apply(known, envelope.event)
        if call.status.is_terminal:
            calls.pop(envelope.key, None)
        else:
            calls[envelope.key] = call
        return calls
