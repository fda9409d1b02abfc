"""The service beside each attack: it answers others, fails on nothing and holds nothing after."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fakes import FakePredictor, picture_bytes
from tests.hostile.protocol import ATTACKS, NATIVE
from tests.server import running_server


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A service of bodies so small that each attack is a matter of a second."""
    with running_server(
        FakePredictor(), max_body_bytes=300_000, max_inflight_jobs=1000, client_idle_timeout_s=1
    ) as address:
        yield address


@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_answered_and_nothing_is_left(
    url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = threading.Semaphore(0)
    create_connection = socket.create_connection

    def connect(*args: Any, **more: Any) -> socket.socket:
        connection = create_connection(*args, **more)
        if threading.current_thread() is not threading.main_thread():
            connected.release()
        return connection

    monkeypatch.setattr("tests.hostile.protocol.MAX_CONNECTIONS", 3)
    monkeypatch.setattr("socket.create_connection", connect)
    port, stop = int(url.rpartition(":")[2]), threading.Event()
    attack = threading.Thread(target=ATTACKS[name], args=(port, stop))
    attack.start()
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            for _ in range(3):
                assert client.get("/livez").status_code == 200
                answer = client.post(
                    NATIVE, content=picture_bytes(), headers={"content-type": "image/png"}
                )
                assert answer.status_code == 200, answer.text
        for _ in range(1 + 3):  # one asks for the limit, and one more for each connection
            assert connected.acquire(timeout=30)
    finally:
        stop.set()
        attack.join(60)
    assert not attack.is_alive()
    with httpx.Client(base_url=url, timeout=60) as client:
        while client.get("/health").json()["queue"]["jobs"]:
            threading.Event().wait(0.01)
        metrics = client.get("/metrics").text
    assert 'rmbg_requests_total{outcome="error"} 0.0' in metrics
