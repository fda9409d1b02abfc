import errno
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rmbg_service.system.resources import (
    accelerators,
    cpu_count,
    has_gpu,
    lower_thread_priority,
    memory_limit_bytes,
    resident_bytes,
    x86_computes_bf16,
)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@pytest.mark.parametrize("group", ["/", "/system.slice/rmbg.service"])
def test_a_container_sees_its_own_cgroup_as_the_root(tmp_path: Path, group: str) -> None:
    write(tmp_path / "proc/self/cgroup", f"0::{group}")
    write(tmp_path / "sys/fs/cgroup/memory.max", "512000000")
    write(tmp_path / "sys/fs/cgroup/cpu.max", "50000 100000")
    assert memory_limit_bytes(tmp_path) == 512_000_000
    assert cpu_count(tmp_path) == 1


@pytest.mark.parametrize("limited", ["system.slice", "system.slice/rmbg.service"])
def test_limits_of_a_systemd_unit_and_of_its_slice_hold(tmp_path: Path, limited: str) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/system.slice/rmbg.service")
    for group in ("system.slice", "system.slice/rmbg.service"):
        folder = tmp_path / "sys/fs/cgroup" / group
        write(folder / "memory.max", "256000000" if group == limited else "max")
        write(folder / "cpu.max", "100000 100000" if group == limited else "max 100000")
    assert memory_limit_bytes(tmp_path) == 256_000_000
    assert cpu_count(tmp_path) == 1


@pytest.mark.parametrize("path", ["", "docker/1a2b"])
def test_cgroup_v1_limits_hold(tmp_path: Path, path: str) -> None:
    lines = ["4:memory:/docker/1a2b", "3:cpu,cpuacct:/docker/1a2b", "1:name=systemd:/docker/1a2b"]
    write(tmp_path / "proc/self/cgroup", "\n".join(lines))
    write(tmp_path / "sys/fs/cgroup/memory" / path / "memory.limit_in_bytes", "300000000")
    write(tmp_path / "sys/fs/cgroup/cpu" / path / "cpu.cfs_quota_us", "90000")
    write(tmp_path / "sys/fs/cgroup/cpu" / path / "cpu.cfs_period_us", "100000")
    assert memory_limit_bytes(tmp_path) == 300_000_000
    assert cpu_count(tmp_path) == 1


def test_without_a_limit_the_machine_is_the_limit(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/\n3:cpu:/")
    write(tmp_path / "sys/fs/cgroup/memory.max", "max")
    write(tmp_path / "sys/fs/cgroup/cpu.max", "max 100000")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    for root in (tmp_path, tmp_path / "neither proc nor sys"):
        assert (memory_limit_bytes(root) or 0) > 512_000_000
        assert cpu_count(root) == len(os.sched_getaffinity(0))
    assert resident_bytes() > 10_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="niceness of a single thread")
def test_working_threads_give_way_and_the_event_loop_does_not() -> None:
    seen = []

    def work() -> None:
        lower_thread_priority()
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [max(before, 5)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, threads have no niceness")
def test_a_process_that_is_nicer_already_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a privilege, the kernel refuses to lower it: `nice rmbg-service serve` must start."""
    asked: list[int] = []
    monkeypatch.setattr(os, "getpriority", lambda *_: 10)
    monkeypatch.setattr(os, "setpriority", lambda *arguments: asked.append(arguments[-1]))
    lower_thread_priority()
    assert asked == [10]


@pytest.mark.parametrize(
    ("flags", "computes"),
    [("fpu sse2 avx512_bf16", True), ("fpu amx_bf16 amx_tile", True), ("fpu avx512f bf16", False)],
)
def test_bfloat16_is_among_the_flags_of_the_cpu(tmp_path: Path, flags: str, computes: bool) -> None:
    assert not x86_computes_bf16(tmp_path)
    write(tmp_path / "proc/cpuinfo", f"processor\t: 0\nvmx flags\t: amx_bf16\nflags\t\t: {flags}\n")
    assert x86_computes_bf16(tmp_path) == computes


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, threads have no niceness")
def test_a_sandbox_that_forbids_niceness_costs_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An executor whose threads fail to begin would be broken for good."""

    def forbidden(*_: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", forbidden)
    with ThreadPoolExecutor(1, initializer=lower_thread_priority) as threads:
        assert threads.submit(lambda: "done").result() == "done"


@pytest.mark.parametrize(
    ("name", "gpus"),
    [
        ("nvidia0", ["NVIDIA GPU"]),
        ("nvidia11", ["NVIDIA GPU"]),  # the only one that the container was given
        ("kfd", ["AMD GPU"]),
        ("nvidiactl", []),
        ("null", []),
    ],
)
def test_a_gpu_is_seen_whatever_its_number(tmp_path: Path, name: str, gpus: list[str]) -> None:
    assert not has_gpu(tmp_path)
    write(tmp_path / "dev" / name, "")
    assert has_gpu(tmp_path) == bool(gpus)
    assert [each for each in accelerators(tmp_path) if each != "Apple GPU"] == gpus
