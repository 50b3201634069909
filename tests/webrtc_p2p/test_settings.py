"""Settings, TURN credentials and addresses."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from aioice import ice

from utd_core.errors import InvalidInput, Unsupported
from utd_core.media.faults import Fault
from utd_core.media.quality import VideoQuality
from utd_webrtc_p2p.backend import P2PBackend
from utd_webrtc_p2p.loopback import ADDRESS, loopback
from utd_webrtc_p2p.protocol import Pairing
from utd_webrtc_p2p.settings import Loopback, Settings, read_settings
from utd_webrtc_p2p.turn import turn_credentials

from .world import EVERYTHING, ROOM, stage


def test_nothing_needs_to_be_set() -> None:
    assert read_settings(None).stun_urls == ()
    assert read_settings({}).path_timeout == 15.0
    assert len(read_settings({}).secret) >= 32
    assert read_settings({"loopback": "never", "path_timeout": 3}).loopback is Loopback.NEVER


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ice": []}, "no setting 'ice'"),
        ({"path_timeout": 0}, "path_timeout"),
        ({"heartbeat": "often"}, "heartbeat"),
        ({"heartbeat": float("inf")}, "heartbeat"),
        ({"loopback": "sometimes"}, "loopback"),
        ({"stun_urls": ["http://example.com"]}, "stun_urls"),
        ({"stun_urls": ["stun:"]}, "stun_urls"),
        ({"stun_urls": ["stun:example.com:port"]}, "stun_urls"),
        ({"turn_urls": ["turn:example.com?transport=pigeon"], "turn_secret": "s"}, "turn_urls"),
        ({"turn_urls": ["turn:example.com"]}, "turn_secret"),
        ({"relay_only": True}, "turn_urls"),
        ({"secret": ""}, "secret"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        P2PBackend(given)


def test_secrets_do_not_show() -> None:
    shown = repr(Settings(secret="hush-hush", turn_secret="quiet-quiet"))
    assert "hush" not in shown
    assert "quiet" not in shown


def test_turn_credentials_are_those_that_coturn_computes() -> None:
    found = turn_credentials("secret", "ann", 1_700_000_000.9)
    expires, _, whose = found.username.partition(":")
    assert expires == "1700000000"
    assert whose.isalnum()
    wanted = base64.b64encode(hmac.new(b"secret", found.username.encode(), hashlib.sha1).digest()).decode()
    assert found.password == wanted
    assert turn_credentials("secret", "bob", 1_700_000_000.9) != found


async def test_a_pairing_brings_servers_with_fresh_credentials() -> None:
    urls = ("turn:turn.example.com:3478?transport=udp",)
    async with stage(stun_urls=("stun:stun.example.com",), turn_urls=urls, turn_secret="secret", turn_ttl=60.0) as here:
        lines = await here.line("ann"), await here.line("bob")
        now = here.backend.clock.now()
        names = set()
        for line in lines:
            (pairing,) = line.of(Pairing)
            stun, turn = pairing.ice_servers
            assert (stun.urls, stun.username) == (("stun:stun.example.com",), None)
            assert turn.urls == urls
            assert turn.username is not None
            assert now + 55 <= float(turn.username.partition(":")[0]) <= now + 65
            names.add(turn.username)
        assert len(names) == 2


@pytest.mark.parametrize(
    ("policy", "found", "wanted"),
    [
        (Loopback.NEVER, [], []),
        (Loopback.AUTO, [], [ADDRESS]),
        (Loopback.AUTO, ["192.0.2.1"], ["192.0.2.1"]),
        (Loopback.ALWAYS, ["192.0.2.1"], [ADDRESS, "192.0.2.1"]),
    ],
)
def test_loopback_is_offered_as_the_policy_says(
    policy: Loopback, found: list[str], wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ice, "get_host_addresses", lambda use_ipv4, use_ipv6: list(found))
    with loopback(policy):
        assert ice.get_host_addresses(True, True) == wanted
    assert ice.get_host_addresses(True, True) == found, "others in the process keep what they had"


@pytest.mark.parametrize(
    ("found", "offered"), [([], {ADDRESS}), (["127.0.0.2"], {"127.0.0.2"})], ids=["nothing-else", "another"]
)
async def test_a_call_finds_its_way_on_loopback_where_there_is_nothing_else(
    found: list[str], offered: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ice, "get_host_addresses", lambda use_ipv4, use_ipv6: list(found))
    async with stage(loopback="auto") as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        for person in (ann, bob):
            peer = person.connection.native.peer
            assert peer is not None
            assert {one.ip for one in peer._ice().iceGatherer.getLocalCandidates()} == offered


async def test_what_there_is_not_is_unsupported() -> None:
    async with stage() as here:
        ann = await here.join("ann")
        with pytest.raises(Unsupported, match="simulcast"):
            await ann.connection.set_quality("TR_1", VideoQuality.LOW)
        with pytest.raises(Unsupported, match="packet_loss"):
            await here.backend.inject(Fault.PACKET_LOSS, ROOM, "ann")


@pytest.mark.parametrize("label", ["x" * 1_001, "é" * 501, "lone \ud800", 7])
async def test_labels_that_cannot_go_over_the_wire_are_invalid(label: Any) -> None:
    async with stage() as here:
        ann = await here.join("ann")
        with pytest.raises(InvalidInput, match="topic"):
            await ann.connection.send_data(b"", topic=label)
        with pytest.raises(InvalidInput, match="a track's name"):
            await ann.publish(name=label)
        with pytest.raises(InvalidInput, match="name of a participant"):
            await here.backend.control.issue_join(ROOM, "bob", grant=EVERYTHING, name=label)
        with pytest.raises(InvalidInput, match="topic"):
            await here.backend.control.send_data(ROOM, b"", topic=label)


async def test_a_fault_that_there_is_not_is_invalid() -> None:
    async with stage() as here:
        with pytest.raises(InvalidInput, match="no fault"):
            await here.backend.inject("earthquake", ROOM, "ann")  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("parameters", [{"seconds": -1}, {"seconds": "2"}, {"times": 1}])
async def test_a_fault_with_wrong_parameters_is_invalid(parameters: dict[str, Any]) -> None:
    async with stage() as here:
        await here.join("ann")
        with pytest.raises(InvalidInput, match="signal_drop"):
            await here.backend.inject(Fault.SIGNAL_DROP, ROOM, "ann", **parameters)
