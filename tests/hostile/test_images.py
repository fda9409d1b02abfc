"""Each hostile file ends in a picture or a declared error, and takes a bounded amount of work."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rmbg_service import errors
from tests.hostile.images import ATTACKS, FILES

KINDS = sorted({name.split("-")[0] for name in FILES})
PICTURES = {  # what makes these costly is dropped, or skipped by its length
    "tiff-useless-tag", "tiff-endless-pages", "tiff-deflate-bomb", "jpeg-exif-segments",
    "png-long-rationals",
    "png-longer-rationals", "png-text-bomb", "png-profile-bomb", "png-profile-of-many-stages",
    "png-surplus-pixels", "png-many-raw-exif-bombs", "gif-many-frames", "bmp-empty-rows",
    "tiff-overlapping-pages", "avif-deep-tracks", "tiff-jpeg-strips-of-exif",
    "tiff-webp-strips-of-exif",
}  # fmt: skip
MAX_MEMORY = 400_000_000
"""Of a file of up to 40 MB with up to 50 MP, which are 300 MB when they are decoded."""
MAX_LINES = 3_000_000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(300)
def test_a_hostile_file_takes_bounded_work(kind: str) -> None:
    names = [name for name in FILES if name.startswith(f"{kind}-")]
    command = [sys.executable, "-m", "tests.hostile.measure", *names]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    results = {found["name"]: found for found in map(json.loads, ran.stdout.splitlines())}
    assert results.keys() == set(names), ran.stderr
    for name, found in results.items():
        outcome = found["outcome"]
        if name in PICTURES:
            assert " x " in outcome, found
        else:
            error = getattr(errors, outcome.partition(":")[0], None)
            assert error is not None, found
            assert issubclass(error, errors.ClientError)
        assert found["memory"] <= MAX_MEMORY, found
        assert found["lines"] <= MAX_LINES, found


@pytest.fixture
def counting_server() -> Iterator[tuple[int, threading.Semaphore]]:
    """A port, and a semaphore that is released for each request."""
    posted = threading.Semaphore(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(422)
            self.end_headers()
            posted.release()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_address[1], posted
        server.shutdown()
        serving.join()


def test_an_attack_goes_on_until_it_is_stopped(
    counting_server: tuple[int, threading.Semaphore],
) -> None:
    port, posted = counting_server
    stop = threading.Event()
    attack = threading.Thread(target=ATTACKS["tiff-huge-tile"], args=(port, stop))
    attack.start()
    for _ in range(3):
        assert posted.acquire(timeout=30)
    stop.set()
    attack.join(30)
    assert not attack.is_alive()
