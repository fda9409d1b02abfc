"""Many mixed requests against a real server, and what is left of them afterwards.

    python -m bench.soak --requests 10000              # the embedded model
    python -m bench.soak --requests 60000 --instant    # a predictor that takes no time
    python -m bench.soak --requests 1000000 --minutes 480

Clients of several kinds work side by side, each kind from an address of its own: good ones with all
sorts of options over the three APIs, which wait after a 429, others with broken files or files that
declare too much, which do not, slow uploads, clients that leave, and pages that poll. At the end it
is checked that

- every request got one answer of those that its kind may get, and the service had no error,
- the metrics count as many requests as the clients sent,
- no job, pixel or thread is in use, and there are no more open files and threads than before,
- resident memory is within 5% of what it was after the first tenth.
"""

import argparse
import asyncio
import math
import multiprocessing
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from io import BytesIO
from itertools import takewhile
from multiprocessing.connection import Connection
from typing import NamedTuple

import httpx
import numpy as np
import psutil
import uvicorn
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from tests.fakes import FakePredictor

from rmbg_service.api.app import create_app
from rmbg_service.api.protocol import BoundedProtocol
from rmbg_service.cli.serve import KEEP_ALIVE_S
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.select import select_predictor
from rmbg_service.settings import Settings

NATIVE, REMOVE_BG, REMBG = "/api/remove-bg", "/v1.0/removebg", "/api/remove"
BUSY = {429}
MAX_PAUSE_S = 2.0
TIMEOUT_S = 200.0
"""Of a job, so that on a busy machine none is late."""
RAW = {"Content-Type": "application/octet-stream"}
OPTIONS: list[dict[str, str]] = [
    {},
    {"format": "webp", "crop": "true"},
    {"format": "jpeg", "background": "#ffffff"},
    {"format": "zip", "output": "layers"},
    {"output": "matte"},
    {"detail": "off", "decontaminate": "false"},
    {"detail": "guided", "canvas": "1:1"},
    {"preset": "amazon"},
    {"shadow": "drop", "crop": "true"},
    {"on_empty": "error"},
]
WEIGHTS = {"good": 10, "broken": 3, "huge": 1, "slow": 1, "leaving": 2, "polling": 3}


def photo(rng: np.random.Generator, kind: str) -> bytes:
    """A disc on noise, with sides of 40 to 300 px."""
    h, w = rng.integers(40, 300, 2)
    pixels = rng.integers(0, 90, (h, w, 3), np.uint8)
    y, x = np.mgrid[0:h, 0:w]
    pixels[np.hypot((y - h / 2) / h, (x - w / 2) / w) < 0.3] += 150
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def oversized() -> bytes:
    """A small file that declares 900 megapixels."""
    buffer = BytesIO()
    Image.new("1", (30_000, 30_000)).save(buffer, "TIFF", compression="group4")
    return buffer.getvalue()


class Clients:
    """Sends requests of every kind and notes each answer."""

    def __init__(self, url: str, seed: int) -> None:
        self.random = random.Random(seed)
        rng = np.random.default_rng(seed)
        kinds = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
        self.photos = [photo(rng, kinds[i % len(kinds)]) for i in range(60)]
        self.oversized = oversized()  # made once: a client that is late loses its connection
        self.url = url
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)
        self.sent = 0
        self.answers: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self.removals = 0
        """Removal requests of which the service has seen the head and the whole body."""
        self.https = {
            kind: httpx.AsyncClient(
                base_url=url,
                timeout=2 * TIMEOUT_S,
                transport=httpx.AsyncHTTPTransport(
                    local_address=f"127.0.0.{2 + i}", limits=httpx.Limits(max_connections=64)
                ),
            )
            for i, kind in enumerate(WEIGHTS)
        }

    async def one(self) -> None:
        """One request of a kind by chance."""
        (kind,) = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "good": self.good,
            "broken": self.broken,
            "huge": self.huge,
            "slow": self.slow,
            "leaving": self.leaving,
            "polling": self.polling,
        }
        self.sent += 1
        try:
            await kinds[kind]()
        except (OSError, httpx.TransportError) as error:
            self.note(kind, 0, set(), f"no response: {error!r}")

    def note(self, kind: str, status: int, allowed: set[int], what: str) -> None:
        """Count an answer, and complain of one that is not `allowed`."""
        self.answers[kind, status] += 1
        if status not in allowed:
            self.wrong.append(f"{kind}: {status} for {what}")

    async def post(self, kind: str, allowed: set[int], path: str, **request: object) -> None:
        """Send a removal request."""
        self.removals += 1
        answer = await self.https[kind].post(path, **request)  # type: ignore[arg-type]
        self.note(kind, answer.status_code, allowed, f"{path}: {answer.text[:200]}")
        if kind == "good" and answer.status_code == 429:
            await asyncio.sleep(min(float(answer.headers["retry-after"]), MAX_PAUSE_S))

    async def good(self) -> None:
        """An ordinary request, over one of the APIs."""
        data, options = self.random.choice(self.photos), self.random.choice(OPTIONS)
        allowed = {200} | BUSY | ({422} if "on_empty" in options else set())
        match self.random.randrange(5):
            case 0:
                await self.post("good", allowed, NATIVE, content=data, params=options, headers=RAW)
            case 1:
                await self.post("good", allowed, NATIVE, files={"image": data}, data=options)
            case 2:
                headers = RAW | {"Accept": "image/png"}
                await self.post("good", {200} | BUSY, NATIVE, content=data, headers=headers)
            case 3:
                # remove.bg answers 400 where no subject is found.
                await self.post("good", {200, 400} | BUSY, REMOVE_BG, files={"image_file": data})
            case _:
                await self.post("good", {200} | BUSY, REMBG, files={"file": data})

    async def broken(self) -> None:
        """A file cut off, with a flipped byte, of noise, or none."""
        data = bytearray(self.random.choice(self.photos))
        match self.random.randrange(4):
            case 0:
                del data[self.random.randrange(1, len(data)) :]
            case 1:
                data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            case 2:
                data = bytearray(self.random.randbytes(500))
            case _:
                data = bytearray()
        # A flipped bit may leave an image, or declare a size that is not accepted.
        await self.post(
            "broken", {200, 400, 413, 422} | BUSY, NATIVE, content=bytes(data), headers=RAW
        )

    async def huge(self) -> None:
        """A file that declares more pixels than are accepted."""
        await self.post("huge", {413, 422} | BUSY, NATIVE, content=self.oversized, headers=RAW)

    def request_of(self, data: bytes) -> bytes:
        """A request as it goes over the wire."""
        head = (
            f"POST {NATIVE} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: image/png\r\n"
            f"Connection: close\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data

    async def slow(self) -> None:
        """An upload in small pieces."""
        self.removals += 1
        local = ("127.0.0.20", 0)
        reader, writer = await asyncio.open_connection(self.host, self.port, local_addr=local)
        answer = asyncio.create_task(reader.read())
        request = self.request_of(self.random.choice(self.photos))
        size = len(request) // 8 + 1
        for first in range(0, len(request), size):
            if answer.done():  # refused before the body is there
                break
            writer.write(request[first : first + size])
            await asyncio.sleep(0.05)
        try:
            head = (await answer).split(b" ", 2)
        except ConnectionError:
            head = []
        self.note("slow", int(head[1]) if head[1:] else 0, {200} | BUSY, "an upload in pieces")
        writer.close()

    async def leaving(self) -> None:
        """A client that does not wait for its answer."""
        self.removals += 1
        local = ("127.0.0.21", 0)
        _, writer = await asyncio.open_connection(self.host, self.port, local_addr=local)
        writer.write(self.request_of(self.random.choice(self.photos)))
        await writer.drain()
        await asyncio.sleep(self.random.random() / 20)
        writer.close()
        self.answers["leaving", 0] += 1

    async def polling(self) -> None:
        """What pages, probes and scrapers ask for."""
        path = self.random.choice(["/livez", "/readyz", "/health", "/metrics", "/api/info", "/"])
        answer = await self.https["polling"].get(path)
        self.note("polling", answer.status_code, {200}, path)

    async def close(self) -> None:
        """Close all connections."""
        for http in self.https.values():
            await http.aclose()


def serve(pipe: Connection, instant: bool) -> None:
    """In a process of its own: the service, with the embedded model or none."""
    settings = Settings(port=0, log_format="json", request_timeout_s=TIMEOUT_S)
    predictor: Predictor = FakePredictor() if instant else select_predictor(settings)
    app = create_app(settings, predictor)
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app.state.engine.on_ready = lambda: pipe.send(listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])


class Footprint(NamedTuple):
    """What a process holds."""

    resident_bytes: int
    files: int
    threads: int

    @classmethod
    def of(cls, process: psutil.Process) -> "Footprint":
        """That of a process now."""
        return cls(process.memory_info().rss, process.num_fds(), process.num_threads())


def metrics(url: str) -> dict[str, float]:
    """Sums over all labels."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(httpx.get(f"{url}/metrics").text):
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
    return values


async def soak(
    clients: Clients, requests: int, limit_s: float, at_once: int, process: psutil.Process
) -> Footprint:
    """Send all requests, or as many as the time allows; the footprint after the first tenth."""
    started = time.monotonic()
    early: Footprint | None = None
    numbers = takewhile(lambda _: time.monotonic() < started + limit_s, range(requests))

    async def client() -> None:
        nonlocal early
        for number in numbers:
            await clients.one()
            seconds = time.monotonic() - started
            if early is None and (number >= requests // 10 or seconds >= limit_s / 10):
                early = Footprint.of(process)
            if number % 1000 == 999:
                rate = number / seconds
                print(f"{number + 1} requests, {rate:.0f}/s", file=sys.stderr, flush=True)

    await asyncio.gather(*(client() for _ in range(at_once)))
    await clients.close()
    return early or Footprint.of(process)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="end after so many")
    parser.add_argument("--clients", type=int, default=24, help="at a time")
    parser.add_argument("--instant", action="store_true", help="a predictor that takes no time")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=serve, args=(theirs, args.instant), daemon=True)
    child.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    process = psutil.Process(child.pid)
    clients = Clients(url, args.seed)
    before = Footprint.of(process)
    started = time.monotonic()
    early = asyncio.run(soak(clients, args.requests, args.minutes * 60, args.clients, process))
    seconds = time.monotonic() - started
    for _ in range(300):  # what clients that left have started comes to its end
        counted, after = metrics(url), Footprint.of(process)
        if not counted["rmbg_inflight_jobs"] and after.files <= before.files:
            break
        time.sleep(0.1)
    cpu_s = sum(process.cpu_times()[:2])
    child.terminate()
    child.join(60)

    sent = clients.sent
    print(f"{sent} requests in {seconds:.0f} s, {sent / seconds:.0f}/s; {cpu_s:.0f} CPU s")
    print("| kind | status | answers |\n|---|---|---|")
    for (kind, status), count in sorted(clients.answers.items()):
        print(f"| {kind} | {status or 'none'} | {count} |")
    checks = {
        "answers of another kind": len(clients.wrong),
        "requests without an answer": sent - clients.answers.total(),
        "removal requests not counted": clients.removals - int(counted["rmbg_requests_total"]),
        "jobs in flight": int(counted["rmbg_inflight_jobs"]),
        "pixels in flight": int(counted["rmbg_inflight_pixels"]),
        "stuck threads": int(counted["rmbg_stuck_threads"]),
        "threads more than after a tenth": max(0, after.threads - early.threads),
        "open files more than before": max(0, after.files - before.files),
    }
    for what, count in checks.items():
        print(f"{what}: {count}")
    growth = after.resident_bytes / early.resident_bytes - 1
    print(f"memory: {early.resident_bytes / 2**20:.0f} MiB after a tenth, {growth:+.1%} at the end")
    for line in clients.wrong[:10]:
        print(line)
    return int(any(checks.values()) or growth > 0.05)


if __name__ == "__main__":
    sys.exit(main())
