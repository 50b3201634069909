"""A room world that writes down what each step was, for the invariants to look at."""

from __future__ import annotations

from dataclasses import dataclass, field

from utd_core.errors import InvalidInput, Refused, UTDStreamException
from utd_core.model import room as rooms
from utd_core.model.bans import BanMade
from utd_core.model.channels import heard_by_all
from utd_core.model.codec import dump, load_event
from utd_core.model.command import Command
from utd_core.model.commands import Internal, PromoteToStage
from utd_core.model.event import Event
from utd_core.model.grants import affected, grant_of
from utd_core.model.identifiers import SERVER, SYSTEM
from utd_core.model.permission import Grant
from utd_core.model.request import RequestEnded, RequestMade
from utd_core.model.roles import Role
from utd_core.model.room import ParticipantRemoved, Phase, RoleChanged, Room, RoomCreated
from utd_core.model.seats import SeatLeft, SeatLockChanged, SeatMoved, SeatMuteChanged, SeatsSwapped
from utd_core.model.stage import StageJoined, StageLeft, StageMuteChanged

from .commands_at_random import PEOPLE
from .world import RoomWorld

NOBODY = ""


@dataclass
class Step:
    """One command: who gave it, what it was decided on, and what came of it.

    `roles` and `phase` are those before it. `surprised` are identities whose grant an event changed that does not
    name them.
    """

    by: str
    command: Command | Internal
    before: bytes | None
    roles: dict[str, Role]
    phase: Phase | None
    decided: bytes | None = None
    after: bytes | None = None
    refusal: UTDStreamException | None = None
    events: list[Event] = field(default_factory=list)
    decided_again: list[Event] = field(default_factory=list)
    surprised: set[tuple[str, str]] = field(default_factory=set)

    @property
    def is_trusted(self) -> bool:
        return self.by in (SERVER, SYSTEM)

    def acted_on(self) -> set[str]:
        """Others to whom this was done: seated elsewhere, muted, sent away, given a role, banned, put on stage."""
        found: set[str | None] = set()
        for event in self.events:
            match event:
                case (
                    SeatLeft() | StageLeft() | SeatMoved() | SeatMuteChanged() | StageMuteChanged() | SeatLockChanged()
                ):
                    found.add(event.identity)
                case ParticipantRemoved() | RoleChanged():
                    found.add(event.identity)
                case StageJoined() if isinstance(self.command, PromoteToStage):
                    found.add(event.identity)
                case SeatsSwapped():
                    found |= {event.first_identity, event.second_identity}
                case BanMade():
                    found.add(event.ban.identity)
        return {identity for identity in found if identity is not None and identity != self.by}


class ObservedRoom(RoomWorld):
    """`mirror` is the state of somebody who only has the room's channel, as JSON; `log` is all they ever had."""

    def __init__(self) -> None:
        super().__init__()
        self.step: Step | None = None
        self.mirror: Room | None = None
        self.log: list[tuple[str, bytes]] = []
        self.made: set[int] = set()
        self.ends: list[int] = []
        self._watching: Step | None = None

    def attempt(self, by: str, command: Command | Internal, device: str = "phone") -> Step:
        """Give a command; a refusal is one way for it to end."""
        room = self.state
        step = self.step = Step(
            by=SYSTEM if isinstance(command, Internal) else by,
            command=command,
            before=None if room is None else dump(room),
            roles={} if room is None else dict(room.roles),
            phase=None if room is None else room.phase,
        )
        try:
            step.events = self.decide(by, command, device=device)
        except (Refused, InvalidInput) as refusal:
            step.refusal = refusal
        step.decided = None if self.state is None else dump(self.state)
        if step.refusal is None:
            self._watching = step
            step.decided_again = self.give(by, command, device=device)
            self._watching = None
        step.after = None if self.state is None else dump(self.state)
        return step

    def apply(self, event: Event) -> None:
        before = self._grants()
        super().apply(event)
        self._write_down(event)
        whom = affected(event)
        if whom is not None and self._watching is not None:
            after = self._grants()
            self._watching.surprised |= {
                (event.type, identity) for identity in after if before.get(identity) != after[identity]
            } - {(event.type, identity) for identity in whom}

    def _write_down(self, event: Event) -> None:
        heard = heard_by_all(event)
        data = dump(heard)
        self.log.append((heard.type, data))
        told = load_event(heard.type, data)
        assert told == heard
        self.mirror = rooms.apply(self.mirror, told)
        if isinstance(event, RoomCreated):
            self.made, self.ends = set(), []
        elif isinstance(event, RequestMade):
            assert event.request.id not in self.made
            self.made.add(event.request.id)
        elif isinstance(event, RequestEnded):
            self.ends.append(event.id)

    def _grants(self) -> dict[str, Grant]:
        room = self.state
        return {} if room is None else {identity: grant_of(room, identity) for identity in (*PEOPLE, NOBODY)}
