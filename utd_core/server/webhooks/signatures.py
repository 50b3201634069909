"""How a delivery is signed, and how an application finds out that it is real.

- The header `X-UTD-Signature` is `sha256=` and the HMAC-SHA256 of the raw body, in hex, with the endpoint's secret.
  While a secret is changed there are two such values, with a comma between them: knowing one of the secrets is enough.
- The body holds the time of this very try (`sent_at`), so what somebody recorded cannot be sent again later.
- The event's `id` is the same in every try. Deliver-at-least-once means: an application remembers those it has seen, at
  least for as long as `verify` lets an old one through.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ...errors import Unauthenticated

SIGNATURE = "X-UTD-Signature"
TOLERANCE = 300.0
"""Seconds."""

MOST_SECRETS = 2
"""Of one endpoint: the present one, and the one before it or after it."""

_SCHEME = "sha256="


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event, as an endpoint is told it. Times are in seconds since the Unix epoch.

    `room` or `call` is where it happened; neither, for the bans of a project. Events of one room come in the order of
    `sequence`; a room that begins anew long after it ended counts anew, in another `epoch`. `data` holds the fields of
    the event. `attempt` counts the tries from 1.
    """

    id: str
    type: str
    app_id: str
    sequence: int
    epoch: str | None
    at: float
    sent_at: float
    attempt: int
    room: str | None
    call: str | None
    data: Mapping[str, Any]


def sign(body: bytes, secrets: str | Sequence[str]) -> str:
    """The value of the header, for the endpoint's secret, or for several."""
    known = (secrets,) if isinstance(secrets, str) else secrets
    return ",".join(_SCHEME + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in known)


def verify(
    body: bytes,
    signature: str | None,
    secrets: str | Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> Delivery:
    """The delivery of a request with this raw body and this header.

    `secrets`: the endpoint's, or several while one is being changed. `tolerance`: seconds that its time may be off.
    Compares in constant time. Raises `Unauthenticated` for everything that is not a fresh delivery of ours.
    """
    known = (secrets,) if isinstance(secrets, str) else secrets
    given = [value.strip().encode() for value in (signature or "").split(",", MOST_SECRETS)[:MOST_SECRETS]]
    right = [sign(body, secret).encode() for secret in known]
    if sum(hmac.compare_digest(one, other) for one in given for other in right) == 0:
        raise Unauthenticated("this is not signed with the endpoint's secret; refuse it")
    try:
        told = json.loads(body)
        # What a newer server says beside that is none of ours.
        known_fields = {field.name: told[field.name] for field in fields(Delivery) if field.name in told}
        delivery = Delivery(**{"epoch": None, "room": None, "call": None, **known_fields})
        off = abs((time.time() if now is None else now) - delivery.sent_at)
    except (ValueError, TypeError):
        raise Unauthenticated("this is signed, but no delivery; refuse it") from None
    if not off <= tolerance:
        raise Unauthenticated("this was sent too long ago, or will be; refuse it, or set the clock")
    return delivery
