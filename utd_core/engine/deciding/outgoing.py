"""Events for the application's own servers: into the outbox, in the transaction that they are decided in."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from ...model.codec import dump
from ...model.event import Event
from ...store.outbox import Outgoing
from ..kinds import CALL, ROOM
from .aggregates import Batch
from .outlets import Outlets


def outgoing(batches: Sequence[Batch], outlets: Outlets, app_id: str) -> list[Outgoing]:
    """What the batches' events are as parcels. The application is told everything, also what a room's channel keeps
    from the people in it."""
    return [parcel for batch in batches for parcel in _of_batch(batch, outlets, app_id)]


def _of_batch(batch: Batch, outlets: Outlets, app_id: str) -> Iterator[Outgoing]:
    kind, key = batch.aggregate.kind, batch.aggregate.key
    has_channel = kind.home(key) is not None
    head = batch.aggregate.head
    # What has no channel of its own counts its events itself, and never begins anew.
    before = head.offset if has_channel else batch.aggregate.state.version - len(batch.events)
    for sequence, (event, _) in enumerate(batch.events, before + 1):
        endpoints = outlets.wanted(event.type)
        if not endpoints:
            continue
        id = secrets.token_hex(12)
        about: dict[str, Any] = {
            "id": id,
            "type": event.type,
            "app_id": app_id,
            "sequence": sequence,
            "epoch": head.epoch if has_channel else None,
            "at": batch.at,
            **({"room": key} if kind is ROOM else {"call": key} if kind is CALL else {}),
        }
        payload = _body(about, event)
        for endpoint in endpoints:
            yield Outgoing(endpoint, kind.name, key, id, event.type, batch.at, payload)


def _body(about: dict[str, Any], event: Event) -> bytes:
    """The event as it is told; the time of each try is put before all this when it is sent."""
    return (
        json.dumps(about, ensure_ascii=False).encode(errors="backslashreplace")[:-1] + b',"data":' + dump(event) + b"}"
    )
