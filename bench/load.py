"""Put load on a background-removal server and print one row for each level of concurrency.

    python bench/load.py http://127.0.0.1:7860/api/remove-bg --pid 1234 --clients 1,8,32
    python bench/load.py http://127.0.0.1:7000/api/remove --field file --data model=u2netp

Each client sends its next request when the previous one is answered; a client that is refused with
429 waits for `Retry-After` first. With `--pid` the CPU seconds and peak memory of the server and
its children are read from /proc. The pictures are generated, and are the same on every machine.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import time
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
from PIL import Image

SIZES = {"1mp": (1154, 866), "12mp": (4000, 3000)}


def picture(width: int, height: int) -> bytes:
    """A JPEG of a bright disc on a textured ground: something to find, and noise to encode."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    ground = np.stack([x / width * 120, y / height * 120, (x + y) / (width + height) * 90], axis=-1)
    noise = cv2.GaussianBlur(rng.normal(0, 40, (height, width, 3)).astype(np.float32), (0, 0), 1.5)
    radius = np.hypot((x - width / 2) / (width / 3), (y - height / 2) / (height / 2.4))
    disc = np.array([230, 180, 60], np.float32) * (1.1 - radius[..., None] * 0.4)
    rgb = np.where(radius[..., None] < 1, disc, ground) + noise
    buffer = BytesIO()
    Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@dataclass
class Level:
    """What one level of concurrency measured."""

    clients: int
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    errors: int = 0
    cpu_s: float = 0.0
    peak_bytes: int = 0


class ServerProcess:
    """CPU time and memory of the server, children included."""

    def __init__(self, pid: int | None) -> None:
        self._root = psutil.Process(pid) if pid else None

    def _all(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)] if self._root else []

    def cpu_s(self) -> float:
        """CPU seconds so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._all())

    def resident_bytes(self) -> int:
        """Resident memory now."""
        return sum(process.memory_info().rss for process in self._all())


def request_of(form: str, jpeg: bytes, file_field: str, data: list[str]) -> dict[str, object]:
    """Arguments of one POST in the given form; `data` are further fields, each `name=value`."""
    if form == "json":
        body = json.dumps({"image": base64.b64encode(jpeg).decode()}).encode()
        return {"content": body, "headers": {"Content-Type": "application/json"}}
    if form == "raw":
        headers = {"Content-Type": "image/jpeg", "Accept": "image/png"}
        return {"content": jpeg, "headers": headers}
    return {
        "files": {file_field: ("photo.jpg", jpeg, "image/jpeg")},
        "data": dict(item.split("=", 1) for item in data),
        "headers": {"Accept": "image/png"},
    }


async def run_level(
    url: str, request: dict[str, object], clients: int, requests: int, server: ServerProcess
) -> Level:
    """`clients` clients send `requests` requests between them."""
    level = Level(clients)
    left = requests
    finished = asyncio.Event()

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            while True:
                started = time.perf_counter()
                response = await http.post(url, **request)  # type: ignore[arg-type]
                seconds = time.perf_counter() - started
                if response.status_code != 429:
                    break
                level.refusals.append(seconds)
                await asyncio.sleep(float(response.headers["Retry-After"]))
            if response.status_code == 200:
                level.latencies.append(seconds)
            else:
                level.errors += 1

    async def watch_memory() -> None:
        while not finished.is_set():
            level.peak_bytes = max(level.peak_bytes, server.resident_bytes())
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch_memory())
    cpu, started = server.cpu_s(), time.perf_counter()
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(timeout=600, limits=limits) as http:
        await asyncio.gather(*(client(http) for _ in range(clients)))
    level.seconds = time.perf_counter() - started
    level.cpu_s = server.cpu_s() - cpu
    finished.set()
    await watching
    return level


def row(level: Level) -> str:
    """One line of the table."""
    done = len(level.latencies)
    p50, p95, p99 = np.percentile(level.latencies, [50, 95, 99]) if done else (0, 0, 0)
    slowest_refusal = max(level.refusals, default=0) * 1e3
    return (
        f"| {level.clients} | {done} | {done / level.seconds:.2f} | {p50:.2f} | {p95:.2f} | "
        f"{p99:.2f} | {level.cpu_s / max(done, 1):.2f} | {level.peak_bytes / 1e6:.0f} | "
        f"{len(level.refusals)} | {slowest_refusal:.0f} | {level.errors} |"
    )


async def leave_at_once(
    url: str, request: dict[str, object], clients: int, server: ServerProcess
) -> float:
    """CPU seconds the server spends on clients that all leave as soon as they have sent."""

    async def leaver(http: httpx.AsyncClient) -> None:
        with contextlib.suppress(httpx.ReadTimeout):
            await http.post(url, **request, timeout=httpx.Timeout(60, read=0.2))  # type: ignore[arg-type]

    cpu = server.cpu_s()
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=clients)) as http:
        await asyncio.gather(*(leaver(http) for _ in range(clients)))
    quiet, last = 0, server.cpu_s()
    while quiet < 8:
        await asyncio.sleep(0.25)
        now = server.cpu_s()
        quiet = quiet + 1 if now - last < 0.05 else 0
        last = now
    return last - cpu


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("--form", choices=["json", "multipart", "raw"], default="multipart")
    parser.add_argument("--field", default="image", help="name of the file's multipart field")
    parser.add_argument("--data", action="append", default=[], help="multipart field NAME=VALUE")
    parser.add_argument("--size", choices=sorted(SIZES), default="12mp")
    parser.add_argument("--image", type=Path, help="send this file instead")
    parser.add_argument("--clients", default="1,8,32", help="levels of concurrency")
    parser.add_argument("--requests", type=int, default=24, help="requests at each level, at least")
    parser.add_argument("--per-client", type=int, default=3, help="at least, for each client")
    parser.add_argument("--pid", type=int, help="the server's process, for CPU and memory")
    parser.add_argument("--soak", type=int, default=0, help="requests one by one, for leaks")
    parser.add_argument("--leavers", type=int, default=0, help="clients that leave at once")
    args = parser.parse_args()

    jpeg = args.image.read_bytes() if args.image else picture(*SIZES[args.size])
    request = request_of(args.form, jpeg, args.field, args.data)
    server = ServerProcess(args.pid)
    warm = await run_level(args.url, request, 1, 1, server)
    if warm.errors:
        raise SystemExit("the server does not answer 200 to a single request")
    print(f"{args.url}: {args.form}, {len(jpeg) / 1e6:.1f} MB JPEG, {args.size}")
    print(
        "| clients | answered | images/s | p50 s | p95 s | p99 s | CPU s/image | peak MB "
        "| 429s | slowest 429 ms | errors |"
    )
    print("|" + "---|" * 11)
    for clients in map(int, args.clients.split(",")):
        requests = max(args.requests, args.per_client * clients)
        print(row(await run_level(args.url, request, clients, requests, server)), flush=True)
    if args.soak:
        await run_level(args.url, request, 1, 20, server)
        early = server.resident_bytes()
        await run_level(args.url, request, 1, args.soak - 20, server)
        late = server.resident_bytes()
        print(
            f"resident after 20 requests one by one: {early / 1e6:.0f} MB, "
            f"after {args.soak}: {late / 1e6:.0f} MB ({late / early - 1:+.1%})"
        )
    if args.leavers:
        cpu_s = await leave_at_once(args.url, request, args.leavers, server)
        print(f"{args.leavers} clients left at once: {cpu_s:.2f} CPU seconds spent on them")


if __name__ == "__main__":
    asyncio.run(main())
