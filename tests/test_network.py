"""No host is contacted unless the user names it: every connection of the programs is recorded."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

OURS = {"127.0.0.1", "::1"}
_ADDRESS = re.compile(r'inet_(?:addr|pton)\((?:AF_INET6, )?"([^"]+)"')


def recorded(log: Path, *arguments: str | Path) -> list[str]:
    """A command line of the service whose connections and datagrams `log` will hold."""
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", log, "true"], check=False).returncode:
        pytest.skip("strace is not installed, or may not trace here")
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    program = [sys.executable, "-m", "rmbg_service"]
    return [strace, "-f", "-qq", "-e", calls, "-o", str(log), *program, *map(str, arguments)]


def environment(folder: Path) -> dict[str, str]:
    """What a user has, without anything that the tests forbid."""
    kept = ("PATH", "PYTHONPATH", "LANG")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"HOME": str(folder)}


def contacted(log: Path) -> set[str]:
    """The addresses that were connected to or sent to, other than the loopback interface."""
    return set(_ADDRESS.findall(log.read_text("utf-8"))) - OURS


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.effect_noise((64, 48), 64).convert("RGB").save(path)
    return path


def test_a_connection_would_be_recorded(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = recorded(log, "--version")
    attempt = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 9))"
    command[command.index("-m") :] = ["-c", attempt]
    subprocess.run(command, check=False, capture_output=True)
    assert contacted(log) == {"192.0.2.1"}


@pytest.mark.parametrize(
    "arguments", [["remove", "photo.png", "-o", "cutout.png"], ["evaluate", "--synthetic", "1"]]
)
def test_commands_contact_nobody(tmp_path: Path, photo: Path, arguments: list[str]) -> None:
    log = tmp_path / "log"
    command = recorded(log, *arguments)
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert contacted(log) == set()


def test_the_service_contacts_nobody(tmp_path: Path, photo: Path) -> None:
    log, output = tmp_path / "log", tmp_path / "output"
    command = recorded(log, "serve", "--port", "0")
    with output.open("w") as stream:
        server = subprocess.Popen(
            command, cwd=tmp_path, env=environment(tmp_path), stdout=stream, stderr=stream,
            start_new_session=True,
        )  # fmt: skip
    try:
        base = address(server, output)
        for path in ("/readyz", "/health", "/metrics", "/api/info", "/", "/docs"):
            with urllib.request.urlopen(base + path) as response:
                assert response.status == 200
        request = urllib.request.Request(
            f"{base}/api/remove-bg", photo.read_bytes(), {"Content-Type": "image/png"}
        )
        with urllib.request.urlopen(request) as response:
            assert response.status == 200
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)
    assert contacted(log) == set()


def address(server: "subprocess.Popen[bytes]", output: Path) -> str:
    """The service's base URL, once it is ready."""
    while server.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:[1-9]\d*", output.read_text("utf-8"))
        if found:
            try:
                with urllib.request.urlopen(f"{found[0]}/readyz"):
                    return found[0]
            except OSError:
                pass
        time.sleep(0.1)
    raise AssertionError(output.read_text("utf-8"))
