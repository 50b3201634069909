"""Descriptions and candidates of a foreign program, before aiortc sees them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utd_core.errors import InvalidInput
from utd_webrtc_p2p.loopback import loopback
from utd_webrtc_p2p.protocol import MAX_SDP
from utd_webrtc_p2p.sdp import KINDS, MAX_CANDIDATES, check_candidate, check_sdp
from utd_webrtc_p2p.settings import Loopback

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine is shared."""
CANDIDATE = "candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host"
SECTION = (
    "m={kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{number}\r\na=setup:actpass\r\na=sendrecv\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 00:11\r\n"
)
HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2 3 4\r\n"
GOOD = HEAD + "".join(SECTION.format(kind=kind, number=number) for number, kind in enumerate(KINDS))


async def test_what_aiortc_says_passes() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    for kind in KINDS[:-1]:
        connection.addTransceiver(kind)
    connection.createDataChannel("reliable", negotiated=True, id=0)
    with loopback(Loopback.ALWAYS):
        await connection.setLocalDescription(await connection.createOffer())
    try:
        check_sdp(connection.localDescription.sdp)
    finally:
        await connection.close()


def test_a_small_one_passes() -> None:
    check_sdp(GOOD)
    check_sdp(GOOD.replace("\r\n", "\n"))


@pytest.mark.parametrize(
    ("sdp", "why"),
    [
        ("", "no line of SDP"),
        ("hello", "no line of SDP"),
        (GOOD[5:], "v=0"),
        (HEAD, "sections are none"),
        (GOOD + SECTION.format(kind="video", number=5), "sections are"),
        (GOOD + SECTION.format(kind="video", number=5) * 2_000, f"at most {MAX_SDP}"),
        (GOOD.replace("m=video", "m=text"), "sections are"),
        (GOOD.replace("a=group:BUNDLE 0 1 2 3 4\r\n", ""), "not bundled"),
        (GOOD.replace("a=fingerprint:sha-256 00:11\r\n", "", 1), "no fingerprint"),
        (GOOD.replace("a=ice-pwd:0123456789012345678901\r\n", "", 1), "no ice-pwd"),
        (GOOD.replace("a=mid:2", "a=mid:"), "section 2 has no mid"),
        (GOOD.replace("a=sendrecv", "a=inactive", 1), "inactive"),
        (GOOD + "a=x\r\n" * 2_000, "lines"),
        (GOOD + "a=" + "x" * 3_000 + "\r\n", "no line of SDP"),
        (GOOD + "a=\0\r\n", "no line of SDP"),
        (GOOD + f"a={CANDIDATE}\r\n" * (MAX_CANDIDATES + 1), "candidates"),
        (GOOD + "a=candidate:1 1 udp 1 127.0.0.1 99999999 typ host\r\n", "no ICE candidate"),
    ],
)
def test_others_are_refused_with_the_reason(sdp: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        check_sdp(sdp)


@PATIENT
@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_sdp(text)


@PATIENT
@given(st.integers(0, len(GOOD) - 1), st.characters())
def test_one_changed_character_passes_or_is_refused(place: int, character: str) -> None:
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    with suppress(InvalidInput):
        check_sdp(changed)


@pytest.mark.parametrize(
    "candidate",
    [
        CANDIDATE,
        "candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 10.0.0.5 rport 46154 generation 0",
        "candidate:1 1 udp 2113937151 6b4b9b0e-7a4e-4d4e-9d3a-1c2d3e4f5a6b.local 50000 typ host",
        "candidate:1 1 tcp 1518280447 fd00::2 9 typ host tcptype active",
    ],
)
def test_candidates_of_browsers_pass(candidate: str) -> None:
    check_candidate(candidate)


@pytest.mark.parametrize(
    "candidate", ["", "candidate:", CANDIDATE + " " * 3, CANDIDATE + " x" * 400, "candidate:1 1 udp x"]
)
def test_other_candidates_are_refused(candidate: str) -> None:
    with pytest.raises(InvalidInput):
        check_candidate(candidate)
