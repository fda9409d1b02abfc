"""What is left of the service for an honest client while hostile ones attack it.

    make hostile
    .venv/bin/python -m bench.hostile --only tiff-long-strip-table slow-heads --seconds 20

Starts a server with the embedded model. An honest client posts a 12 MP photo again and again,
alone or beside an attack of `tests/hostile`: eight clients that post the same file as fast as they
are answered, or as many connections as the attack opens by itself.

An attacker on another machine takes none of the server's CPU time. Here, its process has a low
priority, and the column `attack` says what it took all the same: most attacks cost the attacker
far less than the server. Hostile clients have an address of their own, 127.0.0.2, or as many as
`--addresses` says: the service shares itself out among addresses (or API keys), not among
connections. A row of the table has:

- `share`: photos a second of the honest client beside the attack, by those without it, which are
  measured again after every few attacks
- `cpu`: CPU seconds that the honest client's photos take alone, by all that the server used. Other
  work on the machine changes it less than `share`
- `refused`: how often the honest client got 429, 503 or 504
- `errors`: requests that ended in an error of the service itself, of anyone
- `livez`: 99th percentile of the time of GET /livez during the attack, ms
- `peak`: resident memory during the attack by what the settings allow
- `server`, `attack`: CPU cores that the server and the hostile clients used
- `left`: what is not as before 2 s after the attack: jobs, pixels, stuck threads, threads
"""

import argparse
import contextlib
import importlib
import itertools
import multiprocessing
import os
import pkgutil
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing.synchronize import Event

import httpx
import numpy as np
import psutil
from prometheus_client.parser import text_string_to_metric_families
from tests import hostile
from tests.hostile import images

from bench.load import SIZES, ServerProcess, picture
from rmbg_service.diagnostics.memory import peak_job_bytes
from rmbg_service.settings import Settings

ATTACKS = {
    name: attack
    for module in pkgutil.iter_modules(hostile.__path__, "tests.hostile.")
    if not module.name.rpartition(".")[2].startswith("test_")
    for name, attack in getattr(importlib.import_module(module.name), "ATTACKS", {}).items()
}
IMAGE_CLIENTS = 8
"""Attacks that are no images open many connections by themselves."""

ALONE_EVERY = 10
"""Attacks between two measurements of the honest client alone."""
HEADERS = {"Content-Type": "image/jpeg", "Accept": "image/png"}
AFTER_S = 2.0
PATIENCE_S = 60.0
"""How long a period lasts at most if the honest client gets nothing."""
_ATTACKER_NICENESS = 10


@dataclass
class Measured:
    """What one period has shown."""

    done: int = 0
    refused: int = 0
    cpu_s: float = 0.0
    """CPU seconds of the server."""
    failed: list[int] = field(default_factory=list)
    """Statuses; 0 for a lost connection."""
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
        self._usage = ServerProcess(self.process.pid)
        self.allowed_bytes = self.resident_bytes() + peak_job_bytes(Settings())

    def resident_bytes(self) -> int:
        """Resident memory now, codec processes included."""
        return self._usage.resident_bytes()

    def cpu_s(self) -> float:
        """CPU seconds that it and its codec processes have used."""
        return self._usage.cpu_s()

    def gauges(self) -> dict[str, float]:
        """What has to go back to where it was: the names in the column `left`."""
        values = self.metrics()
        return {
            "jobs": values["rmbg_inflight_jobs"],
            "pixels": values["rmbg_inflight_pixels"],
            "stuck": values["rmbg_stuck_threads"],
            "threads": psutil.Process(self.process.pid).num_threads(),
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
    """Be an honest client for at least `seconds`, and until it has got something."""
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
    started, used = time.perf_counter(), server.cpu_s()
    with httpx.Client(timeout=120) as client:
        while time.perf_counter() - started < (seconds if measured.done else PATIENCE_S):
            status, retry_after_s = send(client, server, photo)
            if status == 200:
                measured.done += 1
            elif status in (429, 503, 504):
                measured.refused += 1
                time.sleep(retry_after_s)
            else:
                measured.failed.append(status)
    measured.seconds = time.perf_counter() - started
    measured.cpu_s = server.cpu_s() - used
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


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds that `process` has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def attack(name: str, port: int, addresses: int, ready: Event, start: Event, stop: Event) -> None:
    """Get `ready`, and attack from `start` until `stop`; in a process of its own."""
    os.nice(_ATTACKER_NICENESS)
    connect_from(addresses)
    run = ATTACKS[name]
    clients = 1
    if name in images.ATTACKS:
        clients, run = (
            IMAGE_CLIENTS,
            partial(images.post_again_and_again, cache(images.FILES[name])),
        )
        run.args[0]()
    threads = [threading.Thread(target=run, args=(port, stop), daemon=True) for _ in range(clients)]
    ready.set()
    start.wait()
    for thread in threads:
        thread.start()
    stop.wait()


def connect_from(addresses: int) -> None:
    """Let the connections of this process come from 127.0.0.2 and the addresses after it."""
    create, hosts = socket.create_connection, itertools.count()

    def create_connection(
        address: tuple[str, int], timeout: float, _: object = None
    ) -> socket.socket:
        return create(address, timeout, (f"127.0.0.{2 + next(hosts) % addresses}", 0))

    if sys.platform == "linux":  # elsewhere, 127.0.0.1 is the only one
        socket.create_connection = create_connection  # type: ignore[assignment]


class Attack:
    """A process that makes an attack ready, and then waits for the block of `running`."""

    def __init__(self, name: str, port: int, addresses: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._ready, self._start, self._stop = (context.Event() for _ in range(3))
        arguments = (name, port, addresses, self._ready, self._start, self._stop)
        self._process = context.Process(target=attack, args=arguments, daemon=True)
        self._process.start()
        self.name = name
        self.cores = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Attack during the block; then, `cores` says how many CPU cores that took."""
        assert self._ready.wait(120), f"{self.name} does not get ready"
        usage = psutil.Process(self._process.pid)
        self._start.set()
        time.sleep(1.0)  # until the first request of each client is under way
        started, used = time.perf_counter(), cpu_s(usage)
        try:
            yield
        finally:
            self.cores = (cpu_s(usage) - used) / (time.perf_counter() - started)
            self._stop.set()
            self._process.join(5)
            self._process.kill()


def rows(
    server: Server, photo: bytes, names: Sequence[str], seconds: float, addresses: int
) -> Iterator[str]:
    """Measure one attack after the other; while the server rests, the next one gets ready."""
    upcoming = iter(names)
    attack: Attack | None = Attack(next(upcoming), server.port, addresses)
    for number in itertools.count():
        if attack is None:
            return
        if number % ALONE_EVERY == 0:
            alone = observe(server, photo, 2 * seconds)
            assert alone.done, "the machine is too busy to measure anything"
        before, errors = server.gauges(), server.errors()
        with attack.running():
            beside = observe(server, photo, seconds)
        name = next(upcoming, None)
        following = None if name is None else Attack(name, server.port, addresses)
        time.sleep(AFTER_S)
        after = server.gauges()
        left = [f"{key} {after[key] - n:+g}" for key, n in before.items() if after[key] > n]
        cells = [
            attack.name,
            f"{beside.rate / alone.rate:.2f}",
            f"{beside.done * alone.cpu_s / alone.done / beside.cpu_s:.2f}",
            str(beside.refused),
            " ".join([str(server.errors() - errors), *map(str, beside.failed)]),
            f"{np.percentile(beside.livez_ms, 99):.0f}",
            f"{beside.peak_bytes / server.allowed_bytes:.2f}",
            f"{beside.cpu_s / beside.seconds:.2f}",
            f"{attack.cores:.2f}",
            ", ".join(left) or "-",
        ]
        yield f"| {' | '.join(cells)} |"
        attack = following


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=sorted(ATTACKS), default=list(ATTACKS))
    parser.add_argument("--seconds", type=float, default=2.5, help="of each period, at least")
    parser.add_argument("--addresses", type=int, default=1, help="of the hostile clients")
    arguments = parser.parse_args()
    photo = picture(*SIZES["12mp"])
    server = Server()
    try:
        observe(server, photo, 5.0)  # warm up
        print("| attack | share | cpu | refused | errors | livez | peak | server | attack | left |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for line in rows(server, photo, arguments.only, arguments.seconds, arguments.addresses):
            print(line, flush=True)
    finally:
        server.process.terminate()
        server.process.wait(60)


if __name__ == "__main__":
    main()
