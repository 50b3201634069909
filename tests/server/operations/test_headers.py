"""What every answer says to a browser that is led to it."""

from __future__ import annotations

import pytest

from .nodes import Running


@pytest.mark.parametrize("path", ["/api/v1/rooms", "/api/v1/rooms/nowhere", "/nothing", "/ready", "/health"])
async def test_no_answer_is_kept_framed_or_taken_for_a_page(node: Running, path: str) -> None:
    headers = (await node.http.get(path)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-type"] == "application/json"
