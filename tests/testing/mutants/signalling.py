"""Backends that signal over the engine, and do it wrong: webrtc_p2p, since the mock has a server of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from utd_core.concurrency import Clock
from utd_core.errors import Closed, InvalidInput
from utd_core.media.backend import ConnectOptions, JoinTicket
from utd_core.media.signalling import Signalling, SignallingDesk, SignallingLine
from utd_webrtc_p2p.backend import P2PBackend
from utd_webrtc_p2p.connection import P2PConnection
from utd_webrtc_p2p.control import P2PControl
from utd_webrtc_p2p.plugin import utd_media_backends
from utd_webrtc_p2p.protocol import read_from_participant

from .covers import MUTANTS


def caught_by(*numbers: str) -> Callable[[type[P2PBackend]], type[P2PBackend]]:
    """Register a broken backend."""

    def register(broken: type[P2PBackend]) -> type[P2PBackend]:
        def create(_settings: Any, clock: Clock) -> P2PBackend:
            return broken({"loopback": "always"}, clock)

        (spec,) = utd_media_backends()
        MUTANTS[broken.__name__] = replace(spec, create=create), numbers
        return broken

    return register


class _Desk(SignallingDesk):
    """Passes on to the desk that is meant."""

    def __init__(self, inner: SignallingDesk) -> None:
        self.inner = inner

    def open_line(
        self, deliver: Callable[[bytes], None], hang_up: Callable[[], None], lost: Callable[[], None]
    ) -> SignallingLine:
        return self.inner.open_line(deliver, hang_up, lost)


class _Covered(P2PBackend):
    """`desk(inner)` takes the place of each desk."""

    @property
    def control(self) -> P2PControl:
        control = super().control
        original = control.signalling
        if not getattr(original, "covered", False):

            def signalling(room: str, identity: str) -> SignallingDesk:
                return self.desk(original(room, identity))

            signalling.covered = True  # type: ignore[attr-defined]  # a mark of ours
            control.signalling = signalling  # type: ignore[method-assign]  # that is what a cover does
        return control

    def desk(self, inner: SignallingDesk) -> SignallingDesk:
        return inner


@caught_by("M71")
class AsksNobodyWhoHeIs(_Covered):
    def desk(self, inner: SignallingDesk) -> SignallingDesk:
        return self.board


class _OneLine(_Desk):
    opened = False

    def open_line(self, *ways: Any) -> SignallingLine:
        if self.opened:
            raise Closed("one line is enough")
        self.opened = True
        return super().open_line(*ways)


@caught_by("M72")
class TakesNobodyBack(_Covered):
    def desk(self, inner: SignallingDesk) -> SignallingDesk:
        return _OneLine(inner)


class _LeftOpen(Signalling):
    """Nobody closes it but the test."""

    def __init__(self, inner: Signalling) -> None:
        self.inner = inner
        self.incoming_now = inner.incoming

    @property
    def incoming(self) -> Any:
        return self.incoming_now

    async def send(self, message: bytes) -> None:
        await self.inner.send(message)

    async def aclose(self) -> None:
        """Nothing."""


@caught_by("M73")
class LeavesLinesOpen(P2PBackend):
    async def connect(self, ticket: JoinTicket, options: ConnectOptions | None = None) -> P2PConnection:
        if options is not None and options.signalling is not None:
            options = replace(options, signalling=_LeftOpen(options.signalling))
        return await super().connect(ticket, options)


class _Forgiving(_Desk):
    def open_line(self, *ways: Any) -> SignallingLine:
        return _ForgivingLine(super().open_line(*ways))


class _ForgivingLine:
    def __init__(self, inner: SignallingLine) -> None:
        self.inner = inner

    def receive(self, message: bytes) -> None:
        try:
            read_from_participant(message)
        except InvalidInput:
            return
        self.inner.receive(message)

    def lose(self) -> None:
        self.inner.lose()


@caught_by("M74")
class PassesOverNonsense(_Covered):
    def desk(self, inner: SignallingDesk) -> SignallingDesk:
        return _Forgiving(inner)
