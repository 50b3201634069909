"""End-to-end encryption as LiveKit's SDKs do it, so that those of browsers and phones with the same key take part."""

from __future__ import annotations

from livekit import rtc

from utd_core.media.encryption import EncryptionKey


def encryption_of(key: EncryptionKey) -> rtc.E2EEOptions:
    """AES-GCM for media and data, with keys that are derived from this one as the SDKs of other languages do."""
    return rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=key.reveal()))
