"""What this process may use: CPUs and memory, container limits included."""

import math
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_WORKING_NICENESS = 5


def cpu_count(cgroup: Path = _CGROUP) -> int:
    """CPUs this process may use: its affinity mask cut by the container's quota; at least 1."""
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS and Windows
    cpus = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    quota = _read(cgroup / "cpu.max").split()  # "max 100000" or "150000 100000"
    if len(quota) == 2 and quota[0].isdigit() and quota[1].isdigit():
        cpus = min(cpus, math.ceil(int(quota[0]) / int(quota[1])))
    return max(1, cpus)


def memory_limit_bytes(cgroup: Path = _CGROUP) -> int | None:
    """Memory this process may use: the container's limit or the machine's RAM; None if unknown."""
    limits = []
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroup v2, v1
        text = _read(cgroup / name)
        if text.isdigit():
            limits.append(int(text))
    with suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)


def step_back() -> None:
    """Let this thread, and those it starts, give way to the event loop where Linux allows it.

    Probes and refusals are then answered in milliseconds while all cores are busy.
    """
    if sys.platform == "linux":  # elsewhere, niceness belongs to the whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _WORKING_NICENESS)


def resident_bytes() -> int:
    """Resident memory of this process in bytes; 0 where /proc does not tell."""
    pages = _read(Path("/proc/self/statm")).split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 else 0


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
