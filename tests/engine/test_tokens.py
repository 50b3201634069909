"""User tokens: what is taken for one, and what is not."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from utd_core.engine.identity.tokens import UserTokens
from utd_core.errors import Unauthenticated
from utd_core.model.command import Actor
from utd_core.testing import VirtualClock

KEY = b"the-key-of-a-project-that-signs-its-user-tokens"
ANN = Actor("ann", "phone", "Ann", 0)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def tokens(clock: VirtualClock) -> UserTokens:
    return UserTokens("shop", KEY, clock, 600.0)


@pytest.fixture
def claims(clock: VirtualClock) -> dict[str, Any]:
    """Of a token that is good."""
    return {"sub": "ann", "name": "Ann", "device": "phone", "app": "shop", "gen": 0, "exp": clock.now() + 60}


def encoded(part: Any) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def refused(tokens: UserTokens, token: Any) -> str:
    with pytest.raises(Unauthenticated) as error:
        tokens.read(token)
    return error.value.message


def test_what_was_issued_is_read(tokens: UserTokens, claims: dict[str, Any]) -> None:
    token = tokens.issue(ANN, tokens.terms(7))
    read = tokens.read(token)
    assert (read.identity, read.device, read.name, read.generation) == ("ann", "phone", "Ann", 7)
    assert tokens.read(jwt.encode(claims, KEY, "HS256")) == ANN, "so the others are refused for what is wrong with them"


class TestForged:
    def test_without_an_algorithm(self, tokens: UserTokens, claims: dict[str, Any]) -> None:
        good = jwt.encode(claims, KEY, "HS256")
        for name in ("none", "None", "NONE", "nOnE", "", None):
            head = encoded({"alg": name, "typ": "JWT"})
            for signature in ("", good.rpartition(".")[2]):
                refused(tokens, f"{head}.{encoded(claims)}.{signature}")
        refused(tokens, f"{encoded({'typ': 'JWT'})}.{encoded(claims)}.")

    def test_with_another_algorithm_and_the_right_key(self, tokens: UserTokens, claims: dict[str, Any]) -> None:
        for algorithm in ("HS384", "HS512"):
            assert "alg" in refused(tokens, jwt.encode(claims, KEY * 3, algorithm))
            refused(tokens, jwt.encode(claims, KEY * 2, algorithm))

    def test_with_a_key_pair(self, tokens: UserTokens, claims: dict[str, Any]) -> None:
        pair = generate_private_key(65_537, 2_048)
        for algorithm in ("RS256", "PS256"):
            assert "alg" in refused(tokens, jwt.encode(claims, pair, algorithm))

    def test_with_the_key_taken_for_a_public_one(self, clock: VirtualClock, claims: dict[str, Any]) -> None:
        """The classic confusion: what verifies RS256 is public, and somebody signs HS256 with it."""
        pair = generate_private_key(65_537, 2_048)
        public = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        head, body = encoded({"alg": "RS256", "typ": "JWT"}), encoded(claims)
        tokens = UserTokens("shop", KEY, clock, 600.0)
        algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        for key in (public, KEY):
            mac = urlsafe_b64encode(algorithm.sign(f"{head}.{body}".encode(), key)).rstrip(b"=").decode()
            assert "alg" in refused(tokens, f"{head}.{body}.{mac}")

    def test_with_a_key_that_it_brings_along(self, tokens: UserTokens, claims: dict[str, Any]) -> None:
        own = b"a-key-of-the-one-who-forges-which-is-long-enough"
        jwk = {"kty": "oct", "k": urlsafe_b64encode(own).decode()}
        for header in ({"jwk": jwk}, {"kid": "../../dev/null"}, {"jku": "https://forger.example.com"}, {"kid": "1"}):
            refused(tokens, jwt.encode(claims, own, "HS256", headers=header))

    @pytest.mark.parametrize("key", [b"", b"\0" * 32, KEY[:-1], KEY + b"x", KEY.upper()])
    def test_with_another_key(self, tokens: UserTokens, claims: dict[str, Any], key: bytes) -> None:
        head, body = encoded({"alg": "HS256", "typ": "JWT"}), encoded(claims)
        algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        mac = urlsafe_b64encode(algorithm.sign(f"{head}.{body}".encode(), key)).rstrip(b"=").decode()
        assert "ignature" in refused(tokens, f"{head}.{body}.{mac}")

    def test_by_changing_a_good_one(self, tokens: UserTokens, claims: dict[str, Any]) -> None:
        head, body, mac = tokens.issue(ANN, tokens.terms(0)).split(".")
        other = encoded({**claims, "sub": "bob"})
        for token in (f"{head}.{other}.{mac}", f"{head}.{body}.{mac[:-4]}", f"{head}.{body}.", f"{head}.{body}"):
            refused(tokens, token)
        refused(tokens, f"{encoded({'alg': 'HS256', 'crit': ['b64'], 'b64': False})}.{body}.{mac}")


class TestClaims:
    @pytest.mark.parametrize("name", ["sub", "app", "gen", "exp"])
    def test_that_are_missing(self, tokens: UserTokens, claims: dict[str, Any], name: str) -> None:
        del claims[name]
        assert name in refused(tokens, jwt.encode(claims, KEY, "HS256"))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"sub": None},
            {"sub": 7},
            {"sub": ""},
            {"sub": "a b/c" * 100},
            {"device": ["phone"]},
            {"device": ""},
            {"gen": "many"},
            {"gen": None},
            {"gen": float("inf")},
            {"exp": "soon"},
            {"exp": None},
            {"exp": float("nan")},
            {"nbf": "later"},
            {"nbf": float("nan")},
            {"app": None},
            {"app": ["shop"]},
        ],
    )
    def test_that_are_wrong(self, tokens: UserTokens, claims: dict[str, Any], wrong: dict[str, Any]) -> None:
        refused(tokens, jwt.encode({**claims, **wrong}, KEY, "HS256"))

    @pytest.mark.parametrize("body", ["[]", "7", '"ann"', "{", "null", "\ud800"])
    def test_that_are_no_object(self, tokens: UserTokens, body: str) -> None:
        refused(tokens, jwt.api_jws.encode(body.encode(errors="surrogatepass"), KEY, "HS256"))

    def test_of_another_project(self, tokens: UserTokens, claims: dict[str, Any]) -> None:
        assert "another app" in refused(tokens, jwt.encode({**claims, "app": "club"}, KEY, "HS256"))


class TestTimes:
    def test_are_those_of_the_injected_clock(self, tokens: UserTokens, clock: VirtualClock) -> None:
        """The library's own are those of the machine."""
        terms = tokens.terms(0)
        token, expires_at = tokens.issue(ANN, terms), terms.expires_at
        assert expires_at == clock.now() + 600.0
        assert token == tokens.issue(ANN, terms), "the same one for the same terms"
        assert tokens.read(token) == ANN
        later = VirtualClock(start=expires_at)
        assert "expired 0 s ago" in refused(UserTokens("shop", KEY, later, 600.0), token)

    async def test_end_a_token_that_was_read_before(self, tokens: UserTokens, clock: VirtualClock) -> None:
        token = tokens.issue(ANN, tokens.terms(0))
        await clock.advance(599.9)
        assert tokens.read(token) == ANN
        await clock.advance(0.2)
        assert "expired" in refused(tokens, token)

    async def test_begin_a_token_that_is_not_good_yet(
        self, tokens: UserTokens, clock: VirtualClock, claims: dict[str, Any]
    ) -> None:
        token = jwt.encode({**claims, "nbf": clock.now() + 30}, KEY, "HS256")
        assert "not yet" in refused(tokens, token)
        await clock.advance(30)
        assert tokens.read(token) == ANN


@pytest.mark.parametrize("token", ["", ".", "..", "...", "x", "a.b.c", None, 7, b"a.b.c", "é" * 50, "a" * 100_000])
def test_what_is_no_token_at_all_is_refused(tokens: UserTokens, token: Any) -> None:
    refused(tokens, token)
