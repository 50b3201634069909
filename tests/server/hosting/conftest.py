from __future__ import annotations

from tests.postgres import _private_server, postgres_server  # noqa: F401  # fixtures
