"""A real Ray cluster on the loopback interface, and its processes."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[1]


@contextmanager
def running_cluster(nodes: int, num_cpus: int = 1) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` of `nodes` with `num_cpus` each; the first one is the head."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_AUTH_MODE", "disabled")
        # Or a driver would look for the nodes of 127.0.0.1 on the address of the network.
        environment.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        environment.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))
        environment.setenv("PYTHONWARNINGS", "ignore")
        from ray.cluster_utils import Cluster

        node = {
            "num_cpus": num_cpus,
            "node_ip_address": "127.0.0.1",
            "object_store_memory": 100_000_000,
        }
        head = node | {"include_dashboard": False, "include_log_monitor": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(nodes - 1):
                cluster.add_node(**node)
            yield cluster
        finally:
            cluster.shutdown()


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def workers(name: str) -> list[psutil.Process]:
    """The workers of this process's clusters that run `name`."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith(f"ray::{name}"):
                found.append(process)
        except psutil.Error:
            continue
    return found
