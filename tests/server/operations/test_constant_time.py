"""What is secret is compared whole, and with all that it might be: the time tells nothing about how much is right."""

from __future__ import annotations

import hmac
from collections.abc import Callable

import pytest

from utd_core.errors import UTDStreamException
from utd_core.server import projects
from utd_core.server.operations import health
from utd_core.server.projects import Project
from utd_core.server.pusher.signatures import check_credential, check_request, request_text
from utd_core.server.pusher.signatures import sign as signed_request
from utd_core.server.webhooks import sign, verify
from utd_core.testing import VirtualClock

from .nodes import a_node

SECRETS = ("the-first-secret-of-all", "the-second-secret-of-all")
PROJECT = Project("shop", "key-of-the-shop-1", SECRETS)
WRONG = ("", "x", SECRETS[0][:-1], f"{SECRETS[0]}x", SECRETS[0].upper(), "ü" * 20)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """Every pair that was compared in constant time."""
    pairs: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def noting(one: bytes, other: bytes) -> bool:
        pairs.append((one, other))
        return compare(one, other)

    for module in (hmac, projects, health):
        monkeypatch.setattr(module, "compare_digest", noting)
    return pairs


def refused(check: Callable[[], object]) -> bool:
    try:
        return check() is False
    except UTDStreamException:
        return True


@pytest.mark.parametrize("given", [*WRONG, *SECRETS])
def test_the_secret_of_a_project_with_each_that_it_has(compared: list[tuple[bytes, bytes]], given: str) -> None:
    assert PROJECT.has_secret(given) == (given in SECRETS)
    assert compared == [(given.encode(), secret.encode()) for secret in SECRETS]


@pytest.mark.parametrize("given", WRONG)
def test_a_publishable_key(compared: list[tuple[bytes, bytes]], given: str) -> None:
    assert not PROJECT.has_key(given)
    assert compared == [(given.encode(), PROJECT.key.encode())]


@pytest.mark.parametrize("given", ["0" * 64, "", *(signed_request(secret, "1.2:private-x") for secret in SECRETS)])
def test_the_signature_of_a_subscription(compared: list[tuple[bytes, bytes]], given: str) -> None:
    right = [signed_request(secret, "1.2:private-x") for secret in SECRETS]
    assert refused(lambda: check_credential(PROJECT, f"{PROJECT.key}:{given}", "1.2:private-x")) != (given in right)
    assert compared[-2:] == [(given.encode(), signature.encode()) for signature in right]


def test_the_signature_of_a_request(compared: list[tuple[bytes, bytes]]) -> None:
    query = {"auth_key": PROJECT.key, "auth_timestamp": "1000", "auth_version": "1.0"}
    right = [signed_request(secret, request_text("GET", "/apps/shop/channels", query)) for secret in SECRETS]
    given = {**query, "auth_signature": "0" * 64}
    assert refused(
        lambda: check_request(PROJECT, "GET", "/apps/shop/channels", list(given.items()), b"", now=1_000.0, skew=600.0)
    )
    assert compared[-2:] == [(b"0" * 64, signature.encode()) for signature in right]


@pytest.mark.parametrize("given", ["sha256=00", sign(b"{}", SECRETS)])
def test_the_signature_of_a_delivery(compared: list[tuple[bytes, bytes]], given: str) -> None:
    assert refused(lambda: verify(b"{}", given, SECRETS))
    right = [sign(b"{}", secret).encode() for secret in SECRETS]
    assert compared == [(one.encode(), other) for one in given.split(",") for other in right]


async def test_the_token_of_the_metrics(compared: list[tuple[bytes, bytes]], utd_clock: VirtualClock) -> None:
    async with a_node(utd_clock, metrics_token="the-token-of-the-metrics") as node:
        answer = await node.http.get("/metrics", headers={"Authorization": "Bearer the-token"})
    assert answer.status_code == 401
    assert (b"Bearer the-token", b"Bearer the-token-of-the-metrics") in compared
