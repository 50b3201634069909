"""The server of our own: where its binary comes from, and how it is started and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from utd_core.errors import UTDStreamException
from utd_livekit.server import binary
from utd_livekit.server.doctor import check_server
from utd_livekit.server.local import LocalServer, free_port

pytestmark = pytest.mark.heavy

FAKE_GO = """#!/bin/sh
case "$1" in
version) echo "go version go{version} linux/amd64" ;;
install)
  echo "$GOTOOLCHAIN $GOPATH $GOCACHE $GOMODCACHE $*" >> "{log}"
  {install} ;;
esac
"""
INSTALL = """touch "$GOCACHE/rest" "$GOMODCACHE/rest"; sleep 0.3
  printf "#!/bin/sh\\n" > "$GOBIN/server"; chmod +x "$GOBIN/server\""""


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and a PATH with only what a shell needs."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "sleep", "touch", "chmod", "printf", "nice"):
        found = next((Path(folder, name) for folder in ("/bin", "/usr/bin") if Path(folder, name).exists()), None)
        if found is not None:
            (tools / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "utd-core"


def put_go(folder: Path, version: str = "1.26.8", install: str = INSTALL) -> Path:
    """A Go of this version on PATH; the file that it writes down what it was asked in."""
    log = folder.parents[1] / "log"
    go = folder.parents[1] / "tools" / "go"
    go.write_text(FAKE_GO.format(version=version, install=install, log=log))
    go.chmod(0o755)
    return log


def test_a_binary_on_path_comes_first(cache: Path) -> None:
    on_path = cache.parents[1] / "tools" / binary.NAME
    on_path.touch(mode=0o755)
    assert binary.ensure_binary(print) == on_path


def test_the_binary_is_built_once_and_nothing_else_stays(cache: Path) -> None:
    log, said = put_go(cache), list[str]()
    built = binary.ensure_binary(said.append)
    assert os.access(built, os.X_OK)
    assert binary.find_binary() == binary.ensure_binary(said.append) == built
    assert len(log.read_text().splitlines()) == 1
    assert log.read_text().startswith("local ")
    assert binary.MODULE in log.read_text()
    assert sorted(path.name for path in cache.iterdir()) == [built.name, f"{built.name}.lock"]
    assert any("this happens once" in line for line in said)


def test_two_builds_at_once_build_once(cache: Path) -> None:
    log = put_go(cache)
    program = "from utd_livekit.server.binary import ensure_binary; print(ensure_binary())"
    running = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(3)]
    said = {each.communicate()[0] for each in running}
    assert len(said) == 1
    assert all(each.returncode == 0 for each in running)
    assert len(log.read_text().splitlines()) == 1


def test_a_build_that_fails_says_why_and_leaves_nothing(cache: Path) -> None:
    put_go(cache, install='echo "module not found" >&2; exit 1')
    with pytest.raises(UTDStreamException, match="module not found"):
        binary.ensure_binary(print)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_without_go_and_without_an_installer_it_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_go(cache, version="1.22.1")
    monkeypatch.setattr(binary, "_installers", lambda _: iter([["false"], ["no-such-installer"]]))
    with pytest.raises(UTDStreamException, match=r"needs Go 1\.26 or newer"):
        binary.ensure_binary(print)


def test_a_server_listens_on_loopback_only(built_server: Path) -> None:
    with LocalServer(built_server) as server:
        assert server.pid is not None
        assert {address for address, _ in listening(server.pid)} == {"127.0.0.1"}
        assert {port for _, port in listening(server.pid)} == {server.port, server.media_port}


def listening(pid: int) -> set[tuple[str, int]]:
    """(IPv4 address, port) of every socket that a process listens on, and UDP; IPv6 fails the test."""
    inodes = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    found = set()
    for table, states in (("tcp", {"0A"}), ("udp", {"07"}), ("tcp6", {"0A"}), ("udp6", {"07"})):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] in states and f"socket:[{fields[9]}]" in inodes:
                address, port = fields[1].split(":")
                assert not table.endswith("6"), f"it listens on IPv6 port {int(port, 16)}"
                found.add((".".join(str(byte) for byte in bytes.fromhex(address)[::-1]), int(port, 16)))
    return found


def test_a_proxy_of_the_environment_is_not_asked_whether_it_answers(
    built_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with LocalServer(built_server) as server:
        assert server.pid is not None


def test_a_server_that_was_killed_starts_again_with_its_ports_and_keys(built_server: Path) -> None:
    with LocalServer(built_server) as server:
        before, first = server.settings, server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        server.restart()
        assert server.pid not in (None, first)
        assert server.settings == before
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/") as answer:
            assert answer.status == 200


def test_a_doctor_asks_the_server_of_the_environment(built_server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalServer(built_server) as server:
        for name in ("url", "api_key", "api_secret"):
            monkeypatch.setenv(f"LIVEKIT_{name.upper()}", server.settings[name])
        check = check_server()
        assert check.ok
        assert server.url in check.detail
        monkeypatch.setenv("LIVEKIT_API_SECRET", "another-secret-of-thirty-two-bytes")
        check = check_server()
        assert not check.ok
        assert "API key and secret" in check.remedy


def test_stopping_leaves_no_process_and_no_file(built_server: Path) -> None:
    server = LocalServer(built_server)
    server.start()
    pid, log = server.pid, server.log
    assert pid is not None
    assert log is not None
    began = time.monotonic()
    server.stop()
    server.stop()
    assert time.monotonic() - began < 4
    assert server.pid is None
    assert not Path(f"/proc/{pid}").exists()
    assert not log.parent.exists()


def test_many_starters_start_one_server(built_server: Path) -> None:
    server = LocalServer(built_server)
    try:
        with ThreadPoolExecutor(8) as threads:
            for each in [threads.submit(server.start) for _ in range(8)]:
                each.result()
        assert server.pid is not None
    finally:
        server.stop()


def test_a_server_that_does_not_start_says_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no such configuration' >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(UTDStreamException, match="no such configuration"):
        LocalServer(broken).start()
