"""Faults by name. A backend lists those it can really produce; the mock produces all of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from ..errors import InvalidInput
from .checks import is_number


class Fault(StrEnum):
    """Media faults are injected for one participant; notification faults for one room."""

    SIGNAL_DROP = "signal_drop"
    """The signal connection is lost for `seconds`, then resumed; media and state survive."""
    FULL_RECONNECT = "full_reconnect"
    """The whole connection is rebuilt; published tracks come back, with the same ids."""
    SERVER_LEAVE = "server_leave"
    """The server ends the connection (it shuts down or moves); the client is disconnected."""
    NODE_FAILURE = "node_failure"
    """The server dies without a word; the client notices and is disconnected with SIGNAL_LOST."""
    DUPLICATE_IDENTITY = "duplicate_identity"
    """Somebody else connects with this identity."""
    TOKEN_EXPIRY = "token_expiry"
    """The join token runs out while connected; the client is disconnected."""
    SLOW_SUBSCRIBER = "slow_subscriber"
    """Frames reach this participant's readers in bursts, `seconds` late."""
    PACKET_LOSS = "packet_loss"
    """A share `rate` (0 to 1) of frames and lossy data is lost on the way to this participant; on a real line as much
    from them, and no data where it travels with what is reliable."""
    JITTER = "jitter"
    """Each frame is delayed by a random time of up to `seconds`; order is kept."""
    CONNECT_SILENCE = "connect_silence"
    """The server accepts the next connection of this identity and never answers."""
    GRANT_DELAY = "grant_delay"
    """A changed grant takes effect only after `seconds`."""
    GRANT_FAILURE = "grant_failure"
    """The next `times` grant changes fail with `MediaError`."""
    NOTIFICATIONS_LOST = "notifications_lost"
    """The next `times` notifications of the room never arrive."""
    NOTIFICATIONS_DOUBLED = "notifications_doubled"
    """The next `times` notifications of the room arrive twice."""
    NOTIFICATIONS_DELAYED = "notifications_delayed"
    """The next `times` notifications of the room arrive `seconds` late."""
    NOTIFICATIONS_REVERSED = "notifications_reversed"
    """The next `times` notifications of the room arrive in reverse order, once all have happened."""


NOTIFICATION_FAULTS = frozenset(fault for fault in Fault if fault.name.startswith("NOTIFICATIONS_"))

PARAMETERS: Mapping[Fault, Mapping[str, float]] = {
    Fault.SLOW_SUBSCRIBER: {"seconds": 1.0},
    Fault.PACKET_LOSS: {"rate": 0.2},
    Fault.JITTER: {"seconds": 0.05},
    Fault.GRANT_DELAY: {"seconds": 1.0},
    Fault.GRANT_FAILURE: {"times": 1},
    Fault.NOTIFICATIONS_LOST: {"times": 1},
    Fault.NOTIFICATIONS_DOUBLED: {"times": 1},
    Fault.NOTIFICATIONS_DELAYED: {"times": 1, "seconds": 1.0},
    Fault.NOTIFICATIONS_REVERSED: {"times": 2},
}
"""Of the faults that happen alike on every backend, with their defaults; how long an outage takes is a backend's own
matter."""


def check_fault(value: Any) -> Fault:
    """The fault of this name. Raises `InvalidInput` for another one."""
    try:
        return Fault(value)
    except ValueError:
        raise InvalidInput(f"there is no fault {value!r}; see utd_core.media.faults") from None


def read_parameters(
    fault: Fault, given: Mapping[str, Any], defaults: Mapping[Fault, Mapping[str, float]]
) -> dict[str, float]:
    """What a fault happens with: its defaults, and what was given in their place. Raises `InvalidInput` for a parameter
    that it does not have, or that is impossible."""
    takes = defaults.get(fault, {})
    for name, value in given.items():
        if name not in takes:
            known = ", ".join(takes) or "no parameters"
            raise InvalidInput(f"fault {fault.value!r} has no parameter {name!r}; it takes {known}")
        if not is_number(value) or value < 0 or (name == "rate" and value > 1):
            raise InvalidInput(f"fault {fault.value!r}: {name} must not be {value!r}")
        if name == "times" and (value != int(value) or value < 1):
            raise InvalidInput(f"fault {fault.value!r}: times must be a whole number of at least 1, got {value!r}")
    return {**takes, **given}
