"""A call as the client mirrors it: between the model's `Call`, which events change, and `UTDCall`, which people see."""

from __future__ import annotations

from ...model.call import Call, apply
from ...model.results import UTDCall
from ...store.base import Envelope


def call_of(view: UTDCall) -> Call:
    """The model's state of a call, as far as its parties may know it."""
    return Call(
        id=view.call_id,
        type=view.type,
        caller=view.caller_identity,
        callee=view.callee_identity,
        created_at=view.created_at,
        status=view.status,
        callee_device=view.callee_device,
        caller_name=view.caller_name,
        callee_name=view.callee_name,
        ring_timeout=view.ring_timeout,
        metadata=dict(view.metadata),
        answered_at=view.answered_at,
        ended_at=view.ended_at,
        end_reason=view.end_reason,
        ended_by=view.ended_by,
        ended_party=view.ended_party,
    )


def apply_call(call: Call, envelope: Envelope) -> Call:
    """The call after an event of its channel."""
    return apply(call, envelope.event)
