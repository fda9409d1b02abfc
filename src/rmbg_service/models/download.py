"""Files over HTTP: resumed, checked against a digest, and never half a file under a real name."""

import errno
import logging
import os
import shutil
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import httpx
from filelock import FileLock

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.digests import digests
from rmbg_service.models.spec import Weights

log = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the size of the whole file, if it is known."""

_TIMEOUT = httpx.Timeout(30, connect=5)
_STALLED_ATTEMPTS = 3
_RETRY_DELAY_S = 1.0
_HEADERS = {
    # Some hosts refuse requests without one.
    "User-Agent": f"rmbg-service/{version('rmbg-service')}",
    "Accept-Encoding": "identity",
}


class NoSpace(ConfigurationError):
    """The disk cannot hold the file; another source would not help."""


def download(url: str, target: Path, weights: Weights, progress: Progress) -> None:
    """Fetch `url` to `target`, unless another process just did.

    What an interrupted call leaves behind is continued by the next one, if `weights` has a digest
    to tell whether it was the same file. Raises `ConfigurationError` in one line if the file cannot
    be had, or does not have that digest.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if not target.is_file():
                _download(url, target, weights, progress)
    except OSError as error:
        kind = NoSpace if error.errno == errno.ENOSPC else ConfigurationError
        reason = error.strerror or error
        raise kind(f"{target.parent}: {reason}; RMBG_MODEL_DIR names another folder") from None


def _download(url: str, target: Path, weights: Weights, progress: Progress) -> None:
    part = target.with_name(f".{target.name}.part")
    if not weights.identified:
        part.unlink(missing_ok=True)
    for resumed in (True, False) if part.is_file() else (False,):
        _fetch(url, part, weights, progress)
        try:
            check(part, weights, url)
        except ConfigurationError:
            part.unlink()
            if not resumed:  # else what was there may have been the beginning of another file
                raise
        else:
            part.replace(target)
            return


def check(path: Path, weights: Weights, source: str, memory: Path | None = None) -> None:
    """Raise `ConfigurationError` unless the file has the digest that `weights` names."""
    found = digests(path, memory)
    if not found.fit(weights):
        algorithm = "sha256" if weights.sha256 else "md5"
        raise ConfigurationError(
            f"{source} is not the expected file: expected {algorithm}"
            f" {getattr(weights, algorithm)}, got {getattr(found, algorithm)}"
        )


def _fetch(url: str, part: Path, weights: Weights, progress: Progress) -> None:
    """Append to `part` until it is whole, over as many connections as it takes."""
    stalled = 0
    with httpx.Client(follow_redirects=True, timeout=_TIMEOUT, headers=_HEADERS) as client:
        while True:
            before = _size(part)
            try:
                return _receive(client, url, part, weights, progress)
            except httpx.TransportError as error:  # httpx also sees that a body is too short
                stalled = 0 if _size(part) > before else stalled + 1
                connecting = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if stalled >= _STALLED_ATTEMPTS or (connecting and not _size(part)):
                    reason = str(error) or type(error).__name__
                    raise ConfigurationError(f"{url} could not be fetched: {reason}") from None
                log.info("%s: connection lost at %d bytes, resuming", url, _size(part))
                time.sleep(_RETRY_DELAY_S if stalled else 0)
            except httpx.HTTPError as error:
                raise ConfigurationError(f"{url} could not be fetched: {error}") from None


def _receive(
    client: httpx.Client, url: str, part: Path, weights: Weights, progress: Progress
) -> None:
    offset = _size(part)
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
            return  # it is whole, or it is not the same file: the digest tells
        if not response.is_success:
            raise ConfigurationError(
                f"{url} answered {response.status_code} {response.reason_phrase}"
            )
        if not _continues(response, offset):
            offset = 0
        length = int(response.headers.get("content-length", 0))
        total = offset + length if length else None
        for each in (*response.history, response):
            require_secure(str(each.url), weights)
        _check_offer(url, response, total, weights)
        _check_space(part, length)
        with part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.truncate()
            for chunk in response.iter_raw():
                file.write(chunk)
                progress(file.tell(), total)
            file.flush()
            os.fsync(file.fileno())  # before it gets its name


def _continues(response: httpx.Response, offset: int) -> bool:
    """Whether the body goes on where the file ends; servers may send all of it again."""
    start = f"bytes {offset}-"
    return response.status_code == httpx.codes.PARTIAL_CONTENT and response.headers.get(
        "content-range", ""
    ).startswith(start)


def require_secure(url: str, weights: Weights) -> None:
    """Raise `ConfigurationError` if nothing would tell whether the file was changed on its way."""
    if not url.startswith("https://") and not weights.identified:
        raise ConfigurationError(
            f"a file without a known digest is fetched over https only, not from {url}"
        )


def _check_offer(url: str, response: httpx.Response, total: int | None, weights: Weights) -> None:
    """Refuse a login page or a file of another size before all of it is fetched."""
    if response.headers.get("content-type", "").startswith("text/html"):
        raise ConfigurationError(f"{url} answered with a web page, not a file")
    if weights.size_bytes is not None and total not in (None, weights.size_bytes):
        raise ConfigurationError(
            f"{url} is not the expected file: expected {weights.size_bytes} bytes, got {total}"
        )


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise NoSpace(
            f"{part.parent} has no space left: {needed / 1e6:.0f} MB needed, {free / 1e6:.0f} MB"
            " free; make room or set RMBG_MODEL_DIR"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
