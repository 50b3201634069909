"""The stage against a second, naive implementation: who is there, who is a host, who is on stage, who is muted."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from utd_core.model.command import Command
from utd_core.model.commands import DemoteFromStage, LeaveRoom, LeaveStage, MuteParticipant, PromoteToStage, SetRole
from utd_core.model.grants import STAGE_SOURCES
from utd_core.model.identifiers import SERVER
from utd_core.model.permission import AUDIO_SOURCES, VIDEO_SOURCES
from utd_core.model.roles import Role

from .fuzz import Explorer, explore
from .world import LOUNGE, RoomWorld, a_stream

HOST = "host"
VIEWERS = ("ann", "bob", "cem")

viewers = st.sampled_from(VIEWERS)
flags = st.booleans()


@dataclass
class Plain:
    """`stage` is in the order of coming, with the devices that are muted."""

    present: set[str] = field(default_factory=lambda: {HOST, *VIEWERS})
    hosts: set[str] = field(default_factory=lambda: {HOST})
    stage: dict[str, set[str]] = field(default_factory=lambda: {HOST: set()})


class StageMachine(Explorer):
    """A host who stays, and three viewers who come and go, on stage and in the room."""

    name = "stage"

    world: RoomWorld
    plain: Plain

    @initialize()
    def begin(self) -> None:
        self.world = a_stream(*VIEWERS)
        self.plain = Plain()

    def give(self, by: str, command: Command, predicted: str | None) -> bool:
        """Whether it was allowed, as predicted."""
        self.agree(self.world, by, command, predicted)
        return predicted is None

    @rule(who=viewers)
    def come_in(self, who: str) -> None:
        self.world.join(who)
        self.plain.present.add(who)
        if who in self.plain.hosts:
            self.plain.stage.setdefault(who, set())

    @rule(who=viewers, politely=flags)
    def go(self, who: str, politely: bool) -> None:
        plain = self.plain
        if not politely:
            self.world.lose(who)
        elif not self.give(who, LeaveRoom(room=LOUNGE), None if who in plain.present else "not_joined"):
            return
        plain.present.discard(who)
        plain.stage.pop(who, None)

    @rule(who=viewers)
    def promote(self, who: str) -> None:
        plain = self.plain
        refusal = (
            "participant_not_found" if who not in plain.present else "already_on_stage" if who in plain.stage else None
        )
        if self.give(HOST, PromoteToStage(room=LOUNGE, identity=who), refusal):
            plain.stage[who] = set()

    @rule(who=viewers)
    def demote(self, who: str) -> None:
        refusal = None if who in self.plain.stage else "not_on_stage"
        if self.give(HOST, DemoteFromStage(room=LOUNGE, identity=who), refusal):
            del self.plain.stage[who]

    @rule(who=viewers)
    def step_down(self, who: str) -> None:
        plain = self.plain
        refusal = "not_joined" if who not in plain.present else None if who in plain.stage else "not_on_stage"
        if self.give(who, LeaveStage(room=LOUNGE), refusal):
            del plain.stage[who]

    @rule(who=viewers, device=st.sampled_from(["audio", "video"]), muting=flags)
    def mute(self, who: str, device: str, muting: bool) -> None:
        muted = self.plain.stage.get(who)
        if muted is None:
            refusal: str | None = "not_on_stage"
        elif (device in muted) is muting:
            refusal = "seat_muted" if muting else "seat_not_muted"
        else:
            refusal = None
        audio, video = (muting, None) if device == "audio" else (None, muting)
        command = MuteParticipant(room=LOUNGE, identity=who, audio=audio, video=video)
        if self.give(HOST, command, refusal) and muted is not None:
            (muted.add if muting else muted.discard)(device)

    @rule(who=viewers, role=st.sampled_from([Role.HOST, Role.ADMIN, Role.AUDIENCE]))
    def change_role(self, who: str, role: Role) -> None:
        plain = self.plain
        self.world.give(SERVER, SetRole(room=LOUNGE, identity=who, role=role))
        becomes_host = role is Role.HOST and who not in plain.hosts
        (plain.hosts.add if role is Role.HOST else plain.hosts.discard)(who)
        if becomes_host and who in plain.present:
            plain.stage.setdefault(who, set())

    @invariant()
    def both_implementations_have_the_same_stage(self) -> None:
        stage = self.world.room.stage
        assert list(stage) == list(self.plain.stage)
        for who, member in stage.items():
            muted = {name for name, flag in (("audio", member.muted_audio), ("video", member.muted_video)) if flag}
            assert muted == self.plain.stage[who]
            assert member.role is self.world.room.role(who)

    @invariant()
    def whoever_is_on_stage_publishes_everything_but_what_is_muted(self) -> None:
        for who in (HOST, *VIEWERS):
            muted = self.plain.stage.get(who)
            expected = STAGE_SOURCES if muted is not None else frozenset()
            if muted:
                expected -= (AUDIO_SOURCES if "audio" in muted else set()) | (
                    VIDEO_SOURCES if "video" in muted else set()
                )
            assert self.world.grant(who).publish == expected


def test_stage_machine() -> None:
    explore(StageMachine, runs=40, share=0.05)
