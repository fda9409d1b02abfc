"""Batches on a real Ray cluster of three nodes with one CPU each, against a real S3 server.

    python -m bench.cluster faults   # 312 photos; a worker, a node and the driver are killed
    python -m bench.cluster speed    # photos/s: local, and Ray with 1 and 2 actors

Everything runs on this machine, on the loopback interface: moto's server, the cluster, the command.
`faults` exits with 1 if a good photo is not in the output exactly once, as the local run makes it,
or if the failures are not the broken photos. `speed` counts from the start of the command and, for
the steady rate, from the first finished photo; CPU seconds are those of the command and the
cluster, without the S3 server.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import psutil
from tests.ray_cluster import running_cluster, workers
from tests.s3 import running_s3

from bench.load import picture
from rmbg_service.batch.manifest import Manifest
from rmbg_service.batch.stores import Store

GOOD, BROKEN = 300, 7
ODD = ["a b.jpg", "50%25.jpg", "日本/猫 é.jpg", "q?&=#;,+[x]*.jpg", f"{'x' * 896}.jpg"]
NODES = 3
OPTIONS = ["--json", "--detail", "off"]


@contextmanager
def command(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """`rmbg-service remove`, its lines of JSON on stdout."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rmbg_service", "remove", *arguments, *OPTIONS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def lines(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    yield from map(json.loads, process.stdout)


def contents(files: Any, bucket: str) -> dict[str, bytes]:
    """The outputs of a bucket, without the manifest."""
    paths = [path for path in files.find(bucket) if "/.rmbg-service/" not in path]
    return {path.removeprefix(f"{bucket}/"): files.cat_file(path) for path in paths}


def faults() -> int:
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)

    photo = picture(320, 240)
    with running_s3("photos", "here", "there") as files, running_cluster(NODES) as cluster:
        for name in [*(f"{number}.jpg" for number in range(GOOD)), *ODD]:
            files.pipe_file(f"photos/{name}", photo)
        for number in range(BROKEN):
            files.pipe_file(f"photos/broken {number}.jpg", photo[: 100 * number])
        say(f"{GOOD + len(ODD)} good photos, {BROKEN} broken ones, {NODES} nodes")
        ray = ["s3://photos", "-o", "s3://there", "--ray", cluster.address, "--actors", "2"]

        with command(*ray) as driver:
            told = [line for line, _ in zip(lines(driver), range(60), strict=False)]
            driver.send_signal(signal.SIGKILL)
        first = sum(line["status"] == "done" for line in told)
        say(f"driver killed after {first} done")

        told = []
        with command(*ray) as driver:
            for line in lines(driver):
                told.append(line)
                done = sum(each["status"] == "done" for each in told)
                if done == 40 and line["status"] == "done":
                    victim = workers("MapWorker")[0].pid
                    os.kill(victim, signal.SIGKILL)
                    say("worker killed after 40 more")
                if done == 100 and line["status"] == "done":
                    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
                    say("node removed after 100 more")
            status = driver.wait()
        kinds = {
            kind: sum(each["status"] == kind for each in told)
            for kind in ("done", "skipped", "failed")
        }
        say(f"second run: exit status {status}, {kinds}")
        rows = [*Manifest(Store("s3://there")).rows()]
        say(
            f"manifest: {len(rows)} rows, {len({row.output for row in rows if row.output})} outputs"
        )

        with command(*ray) as driver:
            again = [line["status"] for line in lines(driver)]
        say(f"third run: {again.count('skipped')} skipped, {again.count('failed')} failed")
        with command("s3://photos", "-o", "s3://here") as local:
            assert len([*lines(local)]) == GOOD + len(ODD) + BROKEN
        here, there = contents(files, "here"), contents(files, "there")
        differing = sorted(name for name in here if here[name] != there.get(name))
        say(f"local run: {len(here)} outputs, other bytes: {len(differing)} {differing[:3]}")
        broken = {line["input"] for line in told if line["status"] == "failed"}
        fine = (
            here == there
            and len(there) == GOOD + len(ODD)
            and len(broken) == BROKEN
            and all("/broken " in name for name in broken)
            and again.count("skipped") == GOOD + len(ODD)
        )
    say("every good photo exactly once, every broken one a row" if fine else "FAILED")
    return 0 if fine else 1


class CpuSeconds:
    """CPU seconds of this process's children and theirs, those that have ended included."""

    def __init__(self) -> None:
        self._seen: dict[psutil.Process, float] = {}
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        """Begin to count."""
        self._sample()
        self._before = self._sum()
        self._sampling = threading.Thread(target=self._go_on)
        self._sampling.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and set `used`."""
        self._stopped.set()
        self._sampling.join()
        self._sample()
        self.used = self._sum() - self._before

    def _go_on(self) -> None:
        while not self._stopped.wait(0.5):
            self._sample()

    def _sample(self) -> None:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                self._seen[process] = sum(process.cpu_times()[:2])

    def _sum(self) -> float:
        return sum(self._seen.values())


def timed(name: str, count: int, *arguments: str) -> None:
    """Print the row of a run."""
    started = time.monotonic()
    with CpuSeconds() as cpu, command(*arguments) as process:
        times = [time.monotonic() for _ in lines(process)]
        process.wait()
    assert len(times) == count
    total, steady = times[-1] - started, (count - 1) / (times[-1] - times[0])
    print(f"| {name} | {count} | {total:.1f} | {steady:.2f} | {cpu.used:.0f} |", flush=True)


def speed(count: int, size: tuple[int, int]) -> int:
    photo = picture(*size)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    print("| | photos | seconds in all | photos/s after the first | CPU seconds |")
    print("|---|---|---|---|---|", flush=True)
    with running_s3("photos", "here", "one", "two") as files:
        for number in range(count):
            files.pipe_file(f"photos/{number}.jpg", photo)
        timed("local", count, "s3://photos", "-o", "s3://here")
        with running_cluster(NODES) as cluster:
            ray = ["--ray", cluster.address, "--actors"]
            timed("Ray, 1 actor", count, "s3://photos", "-o", "s3://one", *ray, "1")
            timed("Ray, 2 actors", count, "s3://photos", "-o", "s3://two", *ray, "2")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["faults", "speed"])
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--size", default="1154x866", help="Pixels of the photos for `speed`.")
    arguments = parser.parse_args()
    if arguments.what == "faults":
        return faults()
    width, height = map(int, arguments.size.split("x"))
    return speed(arguments.photos, (width, height))


if __name__ == "__main__":
    sys.exit(main())
