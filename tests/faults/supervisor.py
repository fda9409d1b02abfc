"""Starts the service again whenever it ends, as systemd, Docker and Kubernetes do."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.processes import ROOT
from tests.server import wait_until


class Supervisor(threading.Thread):
    """Runs `command` again and again until `stop`."""

    def __init__(
        self, command: Sequence[str], port: int, stdout: str, environment: dict[str, str]
    ) -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{port}"
        self.statuses: list[int] = []
        """Exit statuses so far; that of a signal is negative."""
        self._command = [sys.executable, *command, "serve", "--port", str(port)]
        path = f"{ROOT / 'src'}:{ROOT}"
        self._environment = os.environ | {"PYTHONPATH": path} | environment
        self._stdout = Path(stdout)
        self._stopped = threading.Event()
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        null = subprocess.DEVNULL
        with self._stdout.open("w") as stdout:
            return subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=null,
                stdout=stdout,
                stderr=null,
            )

    def run(self) -> None:
        """Wait for each end, and start anew."""
        while True:
            status = self._process.wait()
            if self._stopped.is_set():
                return
            self.statuses.append(status)
            self._process = self._start()

    def terminate(self) -> None:
        """Ask the process to end, so that the next one is started."""
        self._process.terminate()

    def stop(self) -> None:
        """End the process for good."""
        self._stopped.set()
        while self.is_alive():
            self._process.kill()
            self.join(0.1)

    def wait_until_ready(self) -> None:
        """Return once a process accepts requests."""

        def ready() -> bool:
            try:
                return httpx.get(f"{self.url}/readyz").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(ready)


@contextmanager
def supervised(
    command: Sequence[str], /, *, stdout: str = os.devnull, **environment: str
) -> Iterator[Supervisor]:
    """A service that is ready, and is started again when it ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    supervisor = Supervisor(command, port, stdout, environment)
    supervisor.start()
    try:
        supervisor.wait_until_ready()
        yield supervisor
    finally:
        supervisor.stop()
