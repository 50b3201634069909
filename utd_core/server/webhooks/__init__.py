"""Webhooks: the application's own servers are told what happens, at least once each, in order for each room."""

from __future__ import annotations

from .endpoints import WebhookEndpoint
from .settings import WebhookSettings
from .signatures import SIGNATURE, Delivery, sign, verify
from .statistics import EndpointStatistics
from .webhooks import Webhooks

__all__ = [
    "SIGNATURE",
    "Delivery",
    "EndpointStatistics",
    "WebhookEndpoint",
    "WebhookSettings",
    "Webhooks",
    "sign",
    "verify",
]
