"""Every fault of `utd_core.media.faults`, produced on the mock server.

A lasting fault (slow subscriber, packet loss, jitter, grant delay) stays until it is injected again with 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from utd_core.errors import InvalidInput
from utd_core.media.events import DisconnectReason
from utd_core.media.faults import NOTIFICATION_FAULTS, PARAMETERS, Fault, read_parameters

from .rooms import Participant
from .server import MockServer

DEFAULTS: Mapping[Fault, Mapping[str, float]] = {
    **PARAMETERS,
    Fault.SIGNAL_DROP: {"seconds": 2.0},
    Fault.FULL_RECONNECT: {"seconds": 2.0},
    Fault.SERVER_LEAVE: {},
    Fault.NODE_FAILURE: {"seconds": 10.0},
    Fault.DUPLICATE_IDENTITY: {},
    Fault.TOKEN_EXPIRY: {},
    Fault.CONNECT_SILENCE: {},
}
"""The parameters of each fault, with their defaults."""


def produce(server: MockServer, fault: Fault, room: str, identity: str | None, given: Mapping[str, float]) -> None:
    """Produce a fault. Raises `NotFound` for an unknown room or participant, `InvalidInput` for bad parameters."""
    parameters = read_parameters(fault, given, DEFAULTS)
    record = server.room(room)
    if fault in NOTIFICATION_FAULTS:
        server.notification_faults.expect(room, fault, int(parameters["times"]), parameters.get("seconds", 0.0))
        return
    if identity is None:
        raise InvalidInput(f"fault {fault.value!r} happens to one participant; give its identity")
    if fault is Fault.CONNECT_SILENCE:
        record.silences[identity] = record.silences.get(identity, 0) + 1
        return
    _PRODUCERS[fault](server, server.participant(room, identity), **parameters)


def _signal_drop(server: MockServer, participant: Participant, seconds: float) -> None:
    _interrupt(server, participant, seconds, cut=False)


def _full_reconnect(server: MockServer, participant: Participant, seconds: float) -> None:
    server.tracks.set_away(participant)
    _interrupt(server, participant, seconds, cut=True)


def _interrupt(server: MockServer, participant: Participant, seconds: float, *, cut: bool) -> None:
    link = participant.link
    outage = link.interrupt(cut=cut)
    link.client.interrupted()

    def end() -> None:
        if not link.is_over(outage):
            server.tracks.set_back(participant)
            link.resume()

    link.after(seconds, end)


def _server_leave(server: MockServer, participant: Participant) -> None:
    server.disconnect(participant, DisconnectReason.SERVER_SHUTDOWN)


def _node_failure(_server: MockServer, participant: Participant, seconds: float) -> None:
    """The client notices after half of `seconds` and gives up at the end of them; so does the server's side."""
    participant.link.kill()
    client = participant.link.client
    participant.link.after(seconds / 2, client.interrupted)
    participant.link.after(seconds, lambda: client.lost(DisconnectReason.SIGNAL_LOST))


def _token_expiry(server: MockServer, participant: Participant) -> None:
    server.disconnect(participant, DisconnectReason.TOKEN_EXPIRED)


def _slow_subscriber(_server: MockServer, participant: Participant, seconds: float) -> None:
    participant.link.impair(burst=seconds)


def _packet_loss(_server: MockServer, participant: Participant, rate: float) -> None:
    participant.link.impair(loss=rate)


def _jitter(_server: MockServer, participant: Participant, seconds: float) -> None:
    participant.link.impair(jitter=seconds)


def _grant_delay(_server: MockServer, participant: Participant, seconds: float) -> None:
    participant.grant_delay = seconds


def _grant_failure(_server: MockServer, participant: Participant, times: float) -> None:
    participant.grant_failures += int(times)


_PRODUCERS: Mapping[Fault, Callable[..., None]] = {
    Fault.SIGNAL_DROP: _signal_drop,
    Fault.FULL_RECONNECT: _full_reconnect,
    Fault.SERVER_LEAVE: _server_leave,
    Fault.NODE_FAILURE: _node_failure,
    Fault.TOKEN_EXPIRY: _token_expiry,
    Fault.SLOW_SUBSCRIBER: _slow_subscriber,
    Fault.PACKET_LOSS: _packet_loss,
    Fault.JITTER: _jitter,
    Fault.GRANT_DELAY: _grant_delay,
    Fault.GRANT_FAILURE: _grant_failure,
}
