"""The service as a process of its own, as a user starts it, on a free port of the loopback."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVE = ["serve", "--port", "0"]
GATED = ["tests/cli/gated_server.py", *SERVE]
"""A server whose predictor waits for a line on stdin for each prediction."""


@contextmanager
def launched(
    command: Sequence[str], stderr: int = subprocess.DEVNULL, /, **environment: str
) -> Iterator["subprocess.Popen[str]"]:
    """A process of Python, which is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


@contextmanager
def started(
    command: Sequence[str], stderr: int = subprocess.DEVNULL, /, **environment: str
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The process and its base URL, once it says where it listens."""
    with launched(command, stderr, **environment) as process:
        yield process, address_of(process)


def address_of(process: "subprocess.Popen[str]") -> str:
    """The base URL that a server prints when it is ready."""
    assert process.stdout is not None
    first = process.stdout.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+", first)
    assert address is not None, first
    return address[0]


def limited(resource: str, value: int) -> list[str]:
    """A command that serves with a limit of the operating system."""
    script = f"""
import resource, runpy
resource.setrlimit(resource.{resource}, ({value}, {value}))
runpy.run_module("rmbg_service", run_name="__main__")
"""
    return ["-c", script, *SERVE]


def open_gate(process: "subprocess.Popen[str]", predictions: int) -> None:
    """Let a `GATED` server make so many predictions."""
    assert process.stdin is not None
    process.stdin.write("\n" * predictions)
    process.stdin.flush()


def connect(url: str, address: str = "127.0.0.1") -> socket.socket:
    """A connection to a server, from a loopback address."""
    port = int(url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), 30, source_address=(address, 0))


def response_until_closed(connection: socket.socket) -> bytes:
    """All that the server sends before it closes the connection."""
    response = b""
    with suppress(ConnectionError):
        while part := connection.recv(65_536):
            response += part
    return response
