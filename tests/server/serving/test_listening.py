"""Where a server listens."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from utd_core.errors import InvalidInput
from utd_core.server.serving.listening import address_of, listening


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


class TestAUnixSocket:
    def test_is_for_its_user_and_group_and_gone_afterwards(self, tmp_path: Path) -> None:
        path = tmp_path / "utd.sock"
        with listening("", 0, path) as bound:
            assert address_of(bound) == str(path)
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert connects(path)
        assert not path.exists()

    def test_of_a_server_that_was_killed_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "utd.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
            killed.bind(str(path))
        assert path.is_socket()
        with listening("", 0, path):
            assert connects(path)

    def test_of_a_server_that_runs_is_not_taken_from_it(self, tmp_path: Path) -> None:
        path = tmp_path / "utd.sock"
        with listening("", 0, path):
            with pytest.raises(InvalidInput, match="in use; choose another place"), listening("", 0, path):
                pass
            assert connects(path)

    def test_does_not_replace_what_is_no_socket(self, tmp_path: Path) -> None:
        path = tmp_path / "utd.sock"
        path.write_text("mine")
        with pytest.raises(InvalidInput, match="choose another place"), listening("", 0, path):
            pass
        assert path.read_text() == "mine"


def test_a_port_that_is_taken_is_said_to_be() -> None:
    with listening("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        assert address_of(bound) == f"http://127.0.0.1:{port}"
        with pytest.raises(InvalidInput, match=f"127.0.0.1:{port}.*choose another place"), listening("127.0.0.1", port):
            pass


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1")])
def test_an_address_is_shown_as_one_that_can_be_called(host: str, shown: str) -> None:
    with listening(host, 0) as bound:
        assert address_of(bound) == f"http://{shown}:{bound.getsockname()[1]}"
