"""The server as its own process, as a user starts it."""

import base64
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from rmbg_service.cli import main
from rmbg_service.cli.serve import UVICORN, WORK_LEFT, require_uvicorn
from rmbg_service.errors import ConfigurationError
from tests.fakes import PATH, picture_bytes
from tests.processes import (
    GATED,
    ROOT,
    SERVE,
    connect,
    launched,
    open_gate,
    response_until_closed,
    started,
)


def test_a_12_megapixel_photo_comes_back_full_size_from_all_three_forms() -> None:
    y, x = np.mgrid[0:3000, 0:4000]
    disc = (x - 2000) ** 2 + (y - 1500) ** 2 < 1000**2
    photo = np.where(disc[..., None], (230, 60, 40), (90, 110, 120)).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=90)
    jpeg = buffer.getvalue()
    with started(["-m", "rmbg_service", *SERVE]) as (_, url):
        assert httpx.get(f"{url}/readyz").status_code == 200
        text = base64.b64encode(jpeg).decode()
        as_json = httpx.post(url + PATH, json={"image": text}, timeout=60)
        wants = {"Accept": "image/png"}
        as_form = httpx.post(url + PATH, files={"image": jpeg}, headers=wants, timeout=60)
        wants["Content-Type"] = "image/jpeg"
        as_body = httpx.post(url + PATH, content=jpeg, headers=wants, timeout=60)
        files = [base64.b64decode(as_json.json()["image"]), as_form.content, as_body.content]
    assert files[0] == files[1] == files[2]
    cutout = np.asarray(Image.open(BytesIO(files[0])))
    assert cutout.shape == (3000, 4000, 4)
    assert cutout[1500, 2000, 3] == 255
    corners = cutout[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 0).all()


def test_sigterm_answers_the_running_and_the_queued_and_exits_0() -> None:
    environment = {"RMBG_CODEC_THREADS": "2"}
    with started(GATED, **environment) as (process, url):
        headers = {"Content-Type": "image/png"}
        with ThreadPoolExecutor(3) as pool:
            posts = [
                pool.submit(
                    httpx.post, url + PATH, content=picture_bytes(), headers=headers, timeout=60
                )
                for _ in range(3)
            ]
            queue = {"waiting": 0}
            while queue["waiting"] < 2:
                queue = httpx.get(f"{url}/health").json()["queue"]
            process.send_signal(signal.SIGTERM)
            open_gate(process, 3)
            assert [post.result().status_code for post in posts] == [200, 200, 200]
        assert process.wait(30) == 0


def test_a_hung_prediction_ends_the_process_with_an_error() -> None:
    environment = {"RMBG_PREDICT_TIMEOUT_S": "0.2"}
    with started(GATED, **environment) as (process, url):
        headers = {"Content-Type": "image/png"}
        answer = httpx.post(url + PATH, content=picture_bytes(), headers=headers, timeout=60)
        assert answer.status_code == 503
        assert process.wait(30) == 1


@pytest.mark.parametrize("step", ["predict", "decode", "close"])
def test_sigterm_ends_a_process_that_hangs(step: str) -> None:
    environment = {"HANG": step, "RMBG_REQUEST_TIMEOUT_S": "0.5"}
    with started(["tests/cli/hanging_server.py", *SERVE], **environment) as (process, url):
        assert process.stdout is not None
        if step != "close":
            headers = {"Content-Type": "image/png"}
            answer = httpx.post(url + PATH, content=picture_bytes(), headers=headers, timeout=60)
            assert answer.status_code == 504
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == WORK_LEFT
        assert "hanging" in process.stdout.read()


def test_sigterm_ends_a_process_whose_model_hangs_while_it_is_loaded() -> None:
    with launched(["tests/cli/hanging_server.py", *SERVE], HANG="load") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hanging\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == WORK_LEFT


def test_refusals_reach_a_client_that_is_still_sending() -> None:
    environment = {"RMBG_MAX_INFLIGHT_JOBS": "1"}
    with started(GATED, **environment) as (_, url):
        port = int(url.rpartition(":")[2])
        head = b"POST /api/remove-bg HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
        with socket.create_connection(("127.0.0.1", port)) as holder:
            holder.sendall(head + b"Content-Length: 9\r\n\r\n")
            while httpx.get(f"{url}/health").json()["queue"]["jobs"] == 0:
                time.sleep(0.01)
            body = bytes(20_000_000)
            for _ in range(5):
                answer = httpx.post(url + PATH, content=body, headers={"Content-Type": "image/png"})
                assert answer.status_code == 429
                assert int(answer.headers["retry-after"]) >= 1


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that waits half a second for a client that says nothing."""
    with started(GATED, RMBG_CLIENT_IDLE_TIMEOUT_S="0.5") as (_, url):
        yield url


def test_connections_that_never_become_a_request_are_closed(url: str) -> None:
    for beginning in (b"", b"POST /api/remove-bg HTTP/1.1\r\nHost: x\r\nX-Long: "):
        with connect(url) as connection:
            connection.sendall(beginning)
            assert b" 200 " not in response_until_closed(connection)
    with connect(url) as connection:
        with suppress(ConnectionError):  # closed while it was still sending
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
            for _ in range(1000):
                connection.sendall(b"X-Header: " + b"x" * 1000 + b"\r\n")
            connection.sendall(b"\r\n")
        assert b" 200 " not in response_until_closed(connection)
    assert httpx.get(f"{url}/livez").status_code == 200


def test_an_idle_connection_outlives_the_patience_of_clients(url: str) -> None:
    connection = HTTPConnection(url.removeprefix("http://"))
    connection.request("GET", "/livez")
    connection.getresponse().read()
    connection.sock.settimeout(6)
    with pytest.raises(TimeoutError):  # uvicorn's own patience is 5 s, as httpx's is
        connection.sock.recv(1)
    connection.close()


def test_a_websocket_does_not_go_round_the_gate(url: str) -> None:
    wanted = {"Connection": "Upgrade", "Upgrade": "websocket", "X-Request-ID": "one"}
    answer = httpx.get(f"{url}/livez", headers=wanted)
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "one")


def test_a_log_that_nobody_reads_holds_up_nothing() -> None:
    with started(GATED, subprocess.PIPE) as (process, url):
        connection = HTTPConnection(url.removeprefix("http://"))
        for _ in range(2500):  # more lines than a pipe and the queue hold
            connection.request("GET", f"/{'x' * 150}")
            response = connection.getresponse()
            response.read()
            assert response.status == 404
        connection.request("GET", "/metrics")
        assert b"rmbg_log_lines_dropped_total 0.0" not in connection.getresponse().read()
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux closes such sockets")
def test_a_reader_that_stops_reading_is_cut_off_and_does_not_hold_up_the_end() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2500, 2500, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, "PNG", compress_level=0)
    body = buffer.getvalue()
    environment = {"RMBG_CLIENT_IDLE_TIMEOUT_S": "1"}
    with started(GATED, **environment) as (process, url):
        open_gate(process, 1)
        with connect(url) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            head = "POST /api/remove-bg HTTP/1.1\r\nHost: x\r\nAccept: image/png\r\n"
            head += f"Content-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            while 'outcome="cancelled"} 1.0' not in httpx.get(f"{url}/metrics").text:
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0  # the grace period of 35 s is not used up


def test_a_start_that_cannot_work_is_one_line_and_a_non_zero_exit() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rmbg_service", "serve", "--model", "absent.onnx"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith("{"))
    assert line == "error: no model file at absent.onnx"


def test_a_setting_that_cannot_be_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["rmbg-service", "serve", "--port", "99999"])
    with pytest.raises(SystemExit, match="error: RMBG_PORT"):
        main()


def test_a_port_that_is_taken_says_how_to_choose_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        monkeypatch.setattr(sys, "argv", ["rmbg-service", "serve", "--port", port])
        with pytest.raises(SystemExit, match=f":{port}: .*; --host and --port, or RMBG_HOST"):
            main()


def test_a_start_with_another_uvicorn_says_which_one_is_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_uvicorn()
    monkeypatch.setattr("uvicorn.__version__", f"{UVICORN}0.1")
    with pytest.raises(ConfigurationError, match=f"expected uvicorn {UVICORN}, found {UVICORN}0.1"):
        require_uvicorn()


def test_the_expected_uvicorn_is_the_one_that_is_installed_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (requirement,) = (each for each in project["dependencies"] if each.startswith("uvicorn"))
    assert f">={UVICORN}," in requirement


def test_a_provider_that_is_not_there_ends_the_start() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rmbg_service", *SERVE],
        env=os.environ | {"RMBG_ONNX_PROVIDER": "cuda"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "error: ONNX provider 'cuda' is not in this build" in done.stderr


def test_the_console_script_names_its_version() -> None:
    from rmbg_service import __version__

    script = Path(sys.executable).parent / "rmbg-service"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__
