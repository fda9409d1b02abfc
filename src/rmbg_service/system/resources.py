"""What this process may use: CPUs and memory, limits of containers and systemd units included."""

import math
import os
import platform
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
_WORKING_NICENESS = 5
_V2 = ""
"""The controller of cgroup v2 in /proc/self/cgroup: one hierarchy holds all of them."""
_BF16 = {"amx_bf16", "avx512_bf16"}
_DEVICE_FILES = {
    "nvidia[0-9]*": "NVIDIA GPU",  # a container has those it was given, not always the first
    "dxg": "GPU of the Windows host",
    "kfd": "AMD GPU",
}
"""Patterns of the files in /dev."""


def cpu_count(root: Path = _ROOT) -> int:
    """CPUs this process may use: its affinity mask, cut by every cgroup quota; at least 1."""
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS and Windows
    limits = [len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1]
    for folder in _cgroups(root, _V2):
        quota, _, period = _read(folder / "cpu.max").partition(" ")  # "max 100000"
        limits += _quota(quota, period)
    for folder in _cgroups(root, "cpu"):
        limits += _quota(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))
    return max(1, min(limits))


def x86_computes_bf16(root: Path = _ROOT) -> bool:
    """Whether Linux reports instructions of an x86 CPU for bfloat16, AMX or AVX-512."""
    flags = re.search(r"^flags\s*:(.*)$", _read(root / "proc/cpuinfo"), re.MULTILINE)
    return flags is not None and not _BF16.isdisjoint(flags[1].split())


def memory_limit_bytes(root: Path = _ROOT) -> int | None:
    """Memory this process may use: the least of RAM and all cgroup limits; None if unknown."""
    files = [folder / "memory.max" for folder in _cgroups(root, _V2)]
    files += [folder / "memory.limit_in_bytes" for folder in _cgroups(root, "memory")]
    limits = [int(text) for text in map(_read, files) if text.isdigit()]
    with suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)


def lower_thread_priority() -> None:
    """Let this thread, and those it starts, give way to the event loop where Linux allows it.

    Probes and refusals are then answered in milliseconds while all cores are busy.
    """
    if sys.platform == "linux":  # elsewhere, niceness belongs to the whole process
        thread = threading.get_native_id()
        with suppress(PermissionError):  # of sandboxes, whose filters forbid such calls
            niceness = os.getpriority(os.PRIO_PROCESS, thread)  # lowering it needs a privilege
            os.setpriority(os.PRIO_PROCESS, thread, max(niceness, _WORKING_NICENESS))


def resident_bytes() -> int:
    """Resident memory of this process in bytes; 0 if /proc does not tell."""
    pages = _read(Path("/proc/self/statm")).split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 else 0


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's cgroup of `controller` and of all cgroups above it.

    A limit of any of them holds. The mount may show the whole hierarchy or, in a container, only
    the part from the container's own cgroup down: folders that are missing are harmless.
    Source: cgroups(7), Linux man-pages.
    """
    mount = root / "sys/fs/cgroup" / controller
    group = PurePosixPath("/")
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)  # "0::/system.slice/a.service", "4:cpu,cpuacct:/"
        if controller in controllers.split(","):
            group = PurePosixPath(path)
    for parent in (group, *group.parents):
        yield mount / parent.relative_to("/")


def _quota(quota: str, period: str) -> list[int]:
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        return [math.ceil(int(quota) / int(period))]
    return []  # "max", "-1" or no file: not limited


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def has_gpu(root: Path = _ROOT) -> bool:
    """Whether the operating system shows a GPU that is not built into the processor."""
    return bool(_gpus(root))


def accelerators(root: Path = _ROOT) -> list[str]:
    """What the operating system shows, e.g. `NVIDIA GPU`; empty where only a CPU is seen."""
    found = _gpus(root)
    if sys.platform == "darwin" and platform.machine() == "arm64":
        found.append("Apple GPU")
    return found


def _gpus(root: Path) -> list[str]:
    return [name for pattern, name in _DEVICE_FILES.items() if any((root / "dev").glob(pattern))]
