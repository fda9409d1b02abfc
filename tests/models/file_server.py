"""A host of files on this machine that behaves, or misbehaves, as real ones do."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FileServer:
    """Serves `files`; the attributes say how.

    `cuts` are byte counts after which the next answers end early, one each. `refusals` are statuses
    that the next answers have in place of a file.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.cuts: list[int] = []
        self.refusals: list[int] = []
        self.ranges = True
        self.needs_user_agent = False
        self.gated = False
        self.asked: list[tuple[str, str | None]] = []
        """Path and `Range` of each GET."""


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_HEAD(self) -> None:
        """Answer as the hub does: its clients learn commit, digest and size from it."""
        host: FileServer = self.server.host
        if host.gated:
            self._refuse_without_terms()
            return
        data = host.files.get(self.path, b"")
        self.send_response(200 if data or self.path == "/" else 404)
        self.send_header("x-repo-commit", COMMIT)
        self.send_header("etag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("content-length", str(len(data)))
        self.end_headers()

    def do_GET(self) -> None:
        host: FileServer = self.server.host
        wanted = self.headers.get("range")
        host.asked.append((self.path, wanted))
        if host.gated:
            self._refuse_without_terms()
        elif self.path in host.redirects:
            self.send_response(302)
            self.send_header("location", host.redirects[self.path])
            self.end_headers()
        elif host.needs_user_agent and "rmbg-service" not in self.headers.get("user-agent", ""):
            self.send_error(403)
        elif host.refusals:
            self.send_error(host.refusals.pop(0))
        elif self.path not in host.files:
            self.send_error(404)
        else:
            self._send(host, host.files[self.path], wanted)

    def _refuse_without_terms(self) -> None:
        self.send_response(401)
        self.send_header("x-error-code", "GatedRepo")
        self.send_header("content-length", "0")
        self.end_headers()

    def _send(self, host: FileServer, data: bytes, wanted: str | None) -> None:
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "") if host.ranges else None
        start = int(found[1]) if found else 0
        if found and start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if found else 200)
        if found:
            self.send_header("content-range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        for name, value in host.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data) - start))
        self.end_headers()
        end = start + host.cuts.pop(0) if host.cuts else len(data)
        self.wfile.write(data[start:end])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving_files() -> Iterator[FileServer]:
    """A running `FileServer`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        host = FileServer(f"http://127.0.0.1:{server.server_port}")
        server.host = host  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()
