"""Secrets at rest."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from utd_core.errors import InvalidInput, Unavailable
from utd_core.server.hosting.vault import VARIABLE, Secrets, Vault, new_key
from utd_core.server.webhooks import WebhookEndpoint

SECRETS = Secrets(("new", "old"), "token-key")


def test_what_was_sealed_is_unsealed_and_shows_nothing() -> None:
    vault = Vault(new_key())
    sealed = vault.seal("shop", SECRETS)
    assert vault.unseal("shop", sealed) == SECRETS
    for secret in (*SECRETS.secrets, SECRETS.token_key):
        assert secret.encode() not in sealed
        assert secret not in repr(SECRETS)
    assert vault.seal("shop", SECRETS) != sealed, "nobody sees that two are the same"


def test_a_key_is_replaced_by_giving_the_new_one_first() -> None:
    old, new = new_key(), new_key()
    sealed = Vault(old).seal("shop", SECRETS)
    both = Vault(f"{new}, {old}")
    assert both.unseal("shop", sealed) == SECRETS
    resealed = both.reseal(sealed)
    assert Vault(new).unseal("shop", resealed) == SECRETS
    with pytest.raises(Unavailable, match=f"{VARIABLE}=new,old"):
        Vault(new).unseal("shop", sealed)
    with pytest.raises(Unavailable):
        Vault(new).reseal(sealed)


def test_secrets_that_were_moved_to_another_project_are_refused() -> None:
    vault = Vault(new_key())
    with pytest.raises(Unavailable, match="those of another one"):
        vault.unseal("mine", vault.seal("theirs", SECRETS))


@pytest.mark.parametrize("changed", [0, 10, -1])
def test_what_was_tampered_with_is_refused(changed: int) -> None:
    vault = Vault(new_key())
    sealed = bytearray(vault.seal("shop", SECRETS))
    sealed[changed] ^= 1
    with pytest.raises(Unavailable):
        vault.unseal("shop", bytes(sealed))


def test_without_a_key_one_is_told_how_to_get_one() -> None:
    for environment in ({}, {VARIABLE: ""}, {VARIABLE: "  "}):
        with pytest.raises(InvalidInput, match=f"{VARIABLE} is not set.*utd project keygen"):
            Vault.from_environment(environment)
    Vault.from_environment({VARIABLE: new_key()})


# One that stays the same: its name is that of the test.
KEY = "A" * 43 + "="


@pytest.mark.parametrize("keys", ["x", "short,", "ü" * 44, f"{KEY},", f"{KEY};{KEY}"])
def test_what_is_no_key_is_refused_and_not_repeated(keys: str) -> None:
    with pytest.raises(InvalidInput, match="is no key") as refused:
        Vault(keys)
    assert keys not in refused.value.message


def test_webhooks_are_sealed_with_their_urls_and_secrets() -> None:
    vault = Vault(new_key())
    endpoint = WebhookEndpoint(
        "orders", "https://shop.example.com/?token=planted", ("the-secret-that-signs",), ("ban_*",)
    )
    secrets = Secrets(("one",), "token-key", webhooks=(endpoint,))
    sealed = vault.seal("shop", secrets)
    assert vault.unseal("shop", sealed) == secrets
    for part in ("planted", "the-secret-that-signs"):
        assert part.encode() not in sealed
        assert part not in repr(secrets)


def test_what_was_sealed_before_there_were_webhooks_has_none() -> None:
    key = new_key()
    sealed = Fernet(key).encrypt(b'{"app_id": "shop", "secrets": ["one"], "token_key": "two"}')
    assert Vault(key).unseal("shop", sealed).webhooks == ()
