"""What is left of the service for an honest client while hostile ones attack it.

    make hostile
    .venv/bin/python -m bench.hostile --only tiff-long-strip-table slow-heads --seconds 20

Starts a server with the embedded model. For each attack of `tests/hostile`, an honest client
posts a 12 MP photo again and again, first alone, then beside the attack. A row of the table has:

- `alone`, `beside`: photos a second of the honest client; `share`: the second by the first
- `refused`: how often it got 429, 503 or 504
- `livez`: 99th percentile of the time of GET /livez during the attack, ms
- `peak`: resident memory during the attack by what the settings allow
- `errors`: requests that ended in an error of the service itself, of anyone
- `left`: what is not as before 2 s after the attack: jobs, pixels, stuck threads, threads
"""

import argparse
import contextlib
import importlib
import multiprocessing
import pkgutil
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event

import httpx
import numpy as np
import psutil
from prometheus_client.parser import text_string_to_metric_families
from tests import hostile
from tests.hostile import images

from bench.load import SIZES, picture
from rmbg_service.settings import Settings

ATTACKS = {
    name: attack
    for module in pkgutil.iter_modules(hostile.__path__, "tests.hostile.")
    if not module.name.rpartition(".")[2].startswith("test_")
    for name, attack in getattr(importlib.import_module(module.name), "ATTACKS", {}).items()
}
IMAGE_CLIENTS = 8
"""Attacks that are no images open many connections by themselves."""

HEADERS = {"Content-Type": "image/jpeg", "Accept": "image/png"}
AFTER_S = 2.0


@dataclass
class Measured:
    """What one period has shown."""

    done: int = 0
    refused: int = 0
    failed: int = 0
    seconds: float = 0.0
    livez_ms: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    @property
    def rate(self) -> float:
        """Photos a second."""
        return self.done / self.seconds


class Server:
    """A server of its own, and what can be seen of it from outside."""

    def __init__(self) -> None:
        command = [
            sys.executable,
            "-m",
            "rmbg_service",
            "serve",
            "--port",
            "0",
            "--model",
            "u2netp",
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        address = re.search(r"http://\S+:(\d+)", self.process.stdout.readline())
        assert address is not None, "the server does not start"
        self.url, self.port = address[0], int(address[1])
        self._usage = psutil.Process(self.process.pid)
        self.allowed_bytes = self.resident_bytes() + Settings().peak_job_bytes

    def resident_bytes(self) -> int:
        """Resident memory now."""
        return int(self._usage.memory_info().rss)

    def gauges(self) -> dict[str, float]:
        """What has to go back to where it was: the names in the column `left`."""
        values = self.metrics()
        return {
            "jobs": values["rmbg_inflight_jobs"],
            "pixels": values["rmbg_inflight_pixels"],
            "stuck": values["rmbg_stuck_threads"],
            "threads": self._usage.num_threads(),
        }

    def errors(self) -> int:
        """Requests that have ended in an error of the service."""
        return int(self.metrics()["rmbg_requests_total error"])

    def metrics(self) -> dict[str, float]:
        """Samples by name, followed by an outcome if they have one."""
        text = httpx.get(f"{self.url}/metrics", timeout=60).text
        return {
            " ".join([sample.name, *sample.labels.values()]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


def observe(server: Server, photo: bytes, seconds: float) -> Measured:
    """Be an honest client for at least `seconds`."""
    measured, end = Measured(), threading.Event()

    def watch() -> None:
        with httpx.Client(timeout=60) as client:
            while not end.wait(0.05):
                started = time.perf_counter()
                with contextlib.suppress(httpx.HTTPError):
                    client.get(f"{server.url}/livez")
                measured.livez_ms.append((time.perf_counter() - started) * 1e3)
                measured.peak_bytes = max(measured.peak_bytes, server.resident_bytes())

    watching = threading.Thread(target=watch)
    watching.start()
    started = time.perf_counter()
    with httpx.Client(timeout=120) as client:
        while time.perf_counter() - started < seconds:
            status, retry_after_s = send(client, server, photo)
            if status == 200:
                measured.done += 1
            elif status in (429, 503, 504):
                measured.refused += 1
                time.sleep(retry_after_s)
            else:
                measured.failed += 1
    measured.seconds = time.perf_counter() - started
    end.set()
    watching.join()
    return measured


def send(client: httpx.Client, server: Server, photo: bytes) -> tuple[int, float]:
    """The status, 0 for a lost connection, and when to come back."""
    try:
        response = client.post(f"{server.url}/api/remove-bg", content=photo, headers=HEADERS)
    except httpx.HTTPError:
        return 0, 0.0
    return response.status_code, float(response.headers.get("retry-after", 0))


def attack(name: str, port: int, stop: Event) -> None:
    """Run one attack until `stop`; in a process of its own."""
    clients = IMAGE_CLIENTS if name in images.ATTACKS else 1
    threads = [
        threading.Thread(target=ATTACKS[name], args=(port, stop), daemon=True)
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    stop.wait()


@contextlib.contextmanager
def attacked(name: str, port: int) -> Iterator[None]:
    """The block runs beside an attack."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=attack, args=(name, port, stop), daemon=True)
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join(5)
        process.kill()


def row(name: str, server: Server, photo: bytes, seconds: float) -> str:
    """Measure one attack."""
    alone = observe(server, photo, seconds)
    before, errors = server.gauges(), server.errors()
    with attacked(name, server.port):
        time.sleep(3.0)  # until it has made its file
        beside = observe(server, photo, seconds)
    time.sleep(AFTER_S)
    after = server.gauges()
    left = [f"{key} {after[key] - value:+g}" for key, value in before.items() if after[key] > value]
    cells = [
        name,
        f"{alone.rate:.2f}",
        f"{beside.rate:.2f}",
        f"{beside.rate / alone.rate:.2f}",
        str(beside.refused),
        f"{np.percentile(beside.livez_ms, 99):.0f}",
        f"{beside.peak_bytes / server.allowed_bytes:.2f}",
        str(server.errors() - errors + beside.failed),
        ", ".join(left) or "-",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=sorted(ATTACKS), default=list(ATTACKS))
    parser.add_argument("--seconds", type=float, default=15.0, help="of each of the two periods")
    arguments = parser.parse_args()
    photo = picture(*SIZES["12mp"])
    server = Server()
    try:
        observe(server, photo, 5.0)  # warm up
        print("| attack | alone | beside | share | refused | livez | peak | errors | left |")
        print("|---|---|---|---|---|---|---|---|---|")
        for name in arguments.only:
            print(row(name, server, photo, arguments.seconds), flush=True)
    finally:
        server.process.terminate()
        server.process.wait(60)


if __name__ == "__main__":
    main()
