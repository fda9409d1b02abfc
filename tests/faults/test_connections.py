"""Many connections at once: idle ones, slow uploads, and more than there are file descriptors."""

import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from socket import socket

import httpx
import psutil
import pytest

from tests.fakes import PATH, FakePredictor, picture_bytes
from tests.processes import connect, limited, response_until_closed, started
from tests.server import running_server, wait_until

IDLE = 1000
SLOW = 200
HEADERS = {"Content-Type": "image/png"}
BODY = picture_bytes()
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nConnection: close\r\n"
REQUEST = f"{HEAD}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many as the tests open, for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * IDLE
    if hard < needed:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_file_descriptors_it_goes_on_and_accepts_again_later() -> None:
    with started(limited("RLIMIT_NOFILE", 64)) as (_, url), httpx.Client() as client:
        assert client.get(f"{url}/livez").status_code == 200
        connections = [connect(url) for _ in range(100)]  # more than it can accept
        assert client.get(f"{url}/livez").status_code == 200  # on the open connection
        for connection in connections:
            connection.close()
        assert httpx.get(f"{url}/livez", timeout=30).status_code == 200


@pytest.mark.usefixtures("descriptors")
def test_a_thousand_idle_connections_keep_nobody_out() -> None:
    with started(limited("RLIMIT_NOFILE", 2 * IDLE)) as (process, url):
        assert httpx.get(f"{url}/livez").status_code == 200
        service = psutil.Process(process.pid)
        before = service.num_fds()
        connections = [connect(url) for _ in range(IDLE)]
        for connection in connections[::2]:  # half of them have been used
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        for connection in connections[::2]:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
        answer = httpx.post(url + PATH, content=BODY, headers=HEADERS, timeout=60)
        assert answer.status_code == 200
        assert service.num_fds() >= before + IDLE // 2
        for connection in connections:
            connection.close()
        wait_until(lambda: service.num_fds() <= before + 1)


def finish(connections: list[socket]) -> Counter[int]:
    """Send the rest of each request; how often there was which status."""
    statuses: Counter[int] = Counter()
    for connection in connections:
        with suppress(ConnectionError):  # refused and closed already
            connection.sendall(REQUEST[len(REQUEST) // 2 :])
        statuses[int(response_until_closed(connection).split()[1])] += 1
        connection.close()
    return statuses


def jobs(url: str) -> int:
    """Jobs in flight."""
    count: int = httpx.get(f"{url}/health").json()["queue"]["jobs"]
    return count


@pytest.mark.parametrize("addresses", [1, SLOW])
def test_200_slow_uploads_are_answered_and_leave_nothing(addresses: int) -> None:
    with running_server(FakePredictor()) as url:
        connections = [connect(url, f"127.0.1.{i % addresses + 1}") for i in range(SLOW)]
        for connection in connections:
            connection.sendall(REQUEST[: len(REQUEST) // 2])
        wait_until(lambda: jobs(url) == 16)
        answer = httpx.post(url + PATH, content=BODY, headers=HEADERS, timeout=60)
        # A single client gives way; many take all places, as docs/operations.md says.
        assert answer.status_code == (200 if addresses == 1 else 429)
        statuses = finish(connections)
        assert statuses.keys() == {200, 429}
        assert statuses[200] >= 15
        wait_until(lambda: jobs(url) == 0)
