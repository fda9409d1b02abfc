"""Memory runs out, in a memory cgroup or below the limit of an address space."""

import os
import re
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from rmbg_service.client import Client
from tests.fakes import PATH, picture_bytes
from tests.faults.supervisor import supervised
from tests.faults.test_process import FAULTY, crash_beside_others
from tests.processes import SERVE, started

MIB = 2**20
JPEG = {"Content-Type": "image/jpeg"}
LIMITS = {
    "RMBG_CODEC_THREADS": "2",
    "RMBG_MAX_INFLIGHT_JOBS": "8",
    "RMBG_MAX_IMAGE_PIXELS": "100000",
    "RMBG_MAX_INFLIGHT_PIXELS": "1000000",
    "RMBG_MAX_BODY_BYTES": "1000000",
}
"""Small enough for 600 MiB."""
ENTER = """
import os, pathlib, runpy, sys
pathlib.Path({procs!r}).write_text(str(os.getpid()))
sys.argv = [{program!r}, *sys.argv[1:]]
{run}
"""


class MemoryCgroup:
    """A cgroup of its own for a process, of version 2 or 1."""

    def __init__(self) -> None:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        parts = [line.split(":", 2) for line in lines]
        groups = {controllers: path.strip("/") for _, controllers, path in parts}
        root = Path("/sys/fs/cgroup")
        version_1 = "memory" in groups
        parent = root / "memory" / groups["memory"] if version_1 else root / groups[""]
        self.folder = parent / f"rmbg-test-{os.getpid()}"
        self._limit = "memory.limit_in_bytes" if version_1 else "memory.max"

    def limit(self, size: int) -> None:
        (self.folder / self._limit).write_text(str(size))
        with suppress(OSError):  # where there is no swap, there is no limit of it
            (self.folder / "memory.swap.max").write_text("0")

    def entering(self, command: list[str]) -> list[str]:
        """A Python command that runs in this cgroup."""
        if command[0] == "-m":
            run = f"runpy.run_module({command[1]!r}, run_name='__main__')"
            program, rest = command[1], command[2:]
        else:
            run = f"runpy.run_path({command[0]!r}, run_name='__main__')"
            program, rest = command[0], command[1:]
        procs = str(self.folder / "cgroup.procs")
        return ["-c", ENTER.format(procs=procs, program=program, run=run), *rest]


@pytest.fixture
def cgroup() -> Iterator[MemoryCgroup]:
    try:
        group = MemoryCgroup()
        group.folder.mkdir()
        group.limit(2**40)
    except (KeyError, OSError) as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield group
    group.folder.rmdir()


def photo(width: int, height: int) -> bytes:
    buffer = BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_process_above_the_limit_of_its_cgroup_is_killed_and_started_again(
    cgroup: MemoryCgroup,
) -> None:
    cgroup.limit(600 * MIB)
    with supervised(cgroup.entering(FAULTY), FAULT="hoard", **LIMITS) as service:
        crash_beside_others(service)
        with Client(service.url) as client:
            assert client.remove(picture_bytes()).data.startswith(b"\x89PNG")
        assert service.statuses == [-signal.SIGKILL]


def test_the_default_limits_of_a_small_container_keep_it_alive_under_load(
    cgroup: MemoryCgroup,
) -> None:
    cgroup.limit(2048 * MIB)
    command = cgroup.entering(["-m", "rmbg_service", *SERVE])
    with (
        started(command, RMBG_REQUEST_TIMEOUT_S="100") as (process, url),
        ThreadPoolExecutor(8) as pool,
    ):
        body = photo(4000, 3000)
        posts = [
            pool.submit(httpx.post, url + PATH, content=body, headers=JPEG, timeout=110)
            for _ in range(8)
        ]
        statuses = [post.result().status_code for post in posts]
        assert 200 in statuses
        assert set(statuses) <= {200, 429}
        assert process.poll() is None


def test_what_does_not_fit_the_address_space_is_refused_and_the_rest_is_served() -> None:
    with started(["-m", "rmbg_service", *SERVE]) as (process, url):

        def post(body: bytes) -> httpx.Response:
            return httpx.post(url + PATH, content=body, headers=JPEG, timeout=60)

        assert post(photo(640, 480)).status_code == 200
        status = Path(f"/proc/{process.pid}/status").read_text()
        (size_kb,) = re.findall(r"^VmSize:\s+(\d+) kB$", status, re.MULTILINE)
        limit = int(size_kb) * 1024 + 100 * MIB
        resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))
        large = post(photo(8000, 6000))
        assert large.status_code == 503
        assert large.json()["type"].endswith("out-of-memory")
        assert post(photo(640, 480)).status_code == 200
