"""The process is stopped for a while, or dies: every client gets an answer or an error."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import httpx
import psutil
from PIL import Image

from rmbg_service.client import Client
from tests.fakes import PATH, picture_bytes
from tests.faults.supervisor import Supervisor, supervised
from tests.processes import GATED, connect, open_gate, response_until_closed, started
from tests.server import wait_until

HEADERS = {"Content-Type": "image/png"}
FAULTY = ["tests/faults/faulty_server.py"]


def black() -> bytes:
    """What the faulty server cannot bear."""
    buffer = BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "PNG")
    return buffer.getvalue()


def request(body: bytes) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def outcome(url: str, body: bytes) -> int | None:
    """The status of the response; None if the connection is lost."""
    try:
        return httpx.post(url + PATH, content=body, headers=HEADERS, timeout=60).status_code
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        return None


def test_requests_before_and_during_a_stop_are_answered_after_it() -> None:
    with started(GATED, RMBG_MAX_INFLIGHT_JOBS="6") as (process, url):
        early = [connect(url) for _ in range(3)]
        for connection in early:
            connection.sendall(request(picture_bytes()))
        wait_until(lambda: httpx.get(f"{url}/health").json()["queue"]["jobs"] == 3)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        late = [connect(url) for _ in range(5)]
        for connection in late:
            connection.sendall(request(picture_bytes()))
        process.send_signal(signal.SIGCONT)
        open_gate(process, 8)
        first = [response_until_closed(connection).split()[1] for connection in early]
        rest = [response_until_closed(connection).split()[1] for connection in late]
        for connection in early + late:
            connection.close()
        assert first == [b"200"] * 3
        assert set(rest) <= {b"200", b"429"}
        assert rest.count(b"200") >= 3
        assert httpx.get(f"{url}/health").json()["queue"]["jobs"] == 0


def test_a_stop_beyond_the_deadline_is_a_504_and_the_next_request_is_served() -> None:
    with started(GATED, RMBG_REQUEST_TIMEOUT_S="1") as (process, url), connect(url) as connection:
        connection.sendall(request(picture_bytes()))
        wait_until(lambda: httpx.get(f"{url}/health").json()["queue"]["jobs"] == 1)
        process.send_signal(signal.SIGSTOP)
        threading.Event().wait(1.5)  # the deadline passes
        process.send_signal(signal.SIGCONT)
        assert response_until_closed(connection).split()[1] == b"504"
        open_gate(process, 2)
        assert outcome(url, picture_bytes()) == 200


def crash_beside_others(service: Supervisor) -> None:
    """A request that kills the process, among some that do not."""
    with ThreadPoolExecutor(5) as pool:
        deadly = pool.submit(outcome, service.url, black())
        others = [pool.submit(outcome, service.url, picture_bytes()) for _ in range(4)]
        assert deadly.result() is None
        assert {other.result() for other in others} <= {200, None}


def test_a_predictor_that_crashes_ends_the_process_and_its_supervisor_starts_it_again() -> None:
    with supervised(FAULTY, FAULT="crash") as service:
        crash_beside_others(service)
        with Client(service.url) as client:  # it waits for the service
            result = client.remove(picture_bytes())
        assert result.data.startswith(b"\x89PNG")
        assert service.statuses == [-signal.SIGSEGV]
