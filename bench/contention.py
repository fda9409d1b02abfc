"""BiRefNet in the service beside other busy processes: CPU seconds an image by policy.

    python -m bench.contention                                  # swin_v1_t, 12 MP, 2 busy processes
    python -m bench.contention --busy 0 --policy spinning passive
    python -m bench.contention --policy OMP_WAIT_POLICY=PASSIVE,RMBG_CPU_THREADS=1

A policy is a set of environment variables. Each round starts a server for every policy in turn,
with one checkpoint of random weights, and puts load on it; figures are medians of the rounds. The
busy processes have the niceness of the service's own threads. Threads that spin while they wait
show as CPU seconds, whoever else uses the machine.
"""

import argparse
import asyncio
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx
from safetensors.torch import save_file

from bench.load import SIZES, Level, ServerProcess, picture, request_of, run_level
from bench.models import random_network

POLICIES = {
    "spinning": "GOMP_SPINCOUNT=300000",
    "passive": "OMP_WAIT_POLICY=PASSIVE",
    "one thread": "RMBG_CPU_THREADS=1",
    "one codec thread": "RMBG_CODEC_THREADS=1",
}
"""`spinning` is the default of GCC's OpenMP library, which PyTorch brings."""

SETTINGS = {
    "RMBG_PATCH_ORDER": "c_hg_wg",
    "RMBG_LOG_LEVEL": "error",
    "RMBG_REQUEST_TIMEOUT_S": "600",
    "RMBG_SELF_CHECK": "false",
}
NICENESS = 5
START_S = 600.0
"""Spinning threads make even the start slow."""


def burn() -> None:
    """Use a core until the process is ended."""
    os.nice(NICENESS)
    while True:
        pass


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(policy: str) -> dict[str, str]:
    """The variables of a policy: one of `POLICIES`, or `NAME=VALUE,NAME=VALUE`."""
    pairs = POLICIES.get(policy, policy).split(",")
    return dict(pair.split("=", 1) for pair in pairs)


def wait_until_ready(url: str) -> None:
    ends = time.monotonic() + START_S
    while True:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > ends:
            raise SystemExit(f"the service was not ready after {START_S:g} s")
        time.sleep(0.2)


def measure(
    policy: str, checkpoint: Path, request: dict[str, object], clients: int, requests: int
) -> Level:
    """Start a server under `policy` and put load on it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    variables = SETTINGS | {"RMBG_MODEL": str(checkpoint), "RMBG_PORT": str(port)}
    command = [sys.executable, "-m", "rmbg_service", "serve"]
    with subprocess.Popen(command, env=os.environ | variables | environment(policy)) as process:
        try:
            wait_until_ready(url)
            load = run_level(
                f"{url}/api/remove-bg", request, clients, requests, ServerProcess(process.pid)
            )
            return asyncio.run(load)
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--policy", nargs="+", default=list(POLICIES))
    parser.add_argument("--backbone", default="swin_v1_t")
    parser.add_argument("--size", choices=sorted(SIZES), default="12mp")
    parser.add_argument("--busy", type=int, default=2, help="busy processes")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    request = request_of("raw", picture(*SIZES[args.size]), "", [])
    busy = [multiprocessing.Process(target=burn, daemon=True) for _ in range(args.busy)]
    levels: dict[str, list[Level]] = {policy: [] for policy in args.policy}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "model.safetensors"
        save_file(random_network(args.backbone).state_dict(), checkpoint)
        for process in busy:
            process.start()
        for _ in range(args.rounds):
            for policy, measured in levels.items():
                level = measure(policy, checkpoint, request, args.clients, args.requests)
                measured.append(level)
                print(row(policy, [level]), file=sys.stderr, flush=True)
    for process in busy:
        process.terminate()
    print("| policy | CPU s/image | images/s | p50 s | errors |\n|---|---|---|---|---|")
    for policy, measured in levels.items():
        print(row(policy, measured))


def row(policy: str, levels: list[Level]) -> str:
    """One line of the table: medians of the rounds."""
    answered = [max(1, len(level.latencies)) for level in levels]
    cpu_s = median(level.cpu_s / n for level, n in zip(levels, answered, strict=True))
    rate = median(len(level.latencies) / level.seconds for level in levels)
    p50 = median(median(level.latencies or [0.0]) for level in levels)
    return f"| {policy} | {cpu_s:.2f} | {rate:.3f} | {p50:.1f} | {sum(x.errors for x in levels)} |"


if __name__ == "__main__":
    main()
