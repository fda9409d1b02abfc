"""Digests of weight files, computed once and remembered beside size and modification time."""

import hashlib
import json
import logging
from pathlib import Path
from typing import NamedTuple

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import catalog
from rmbg_service.models.files import weight_files
from rmbg_service.models.spec import ModelSpec, Weights
from rmbg_service.system.atomic import atomic_write

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_REMEMBERED = 256
"""Files whose digests are remembered; the oldest are forgotten first."""


class Digests(NamedTuple):
    """Hexadecimal digests of one file."""

    sha256: str
    md5: str

    def fit(self, weights: Weights) -> bool:
        """Whether these are the digests that `weights` names, or it names none."""
        if weights.sha256 is not None:
            return self.sha256 == weights.sha256
        return weights.md5 in (None, self.md5)


def digests(path: Path, memory: Path | None = None) -> Digests:
    """The digests of the file at `path`.

    `memory` is the file to remember them in, with the size and modification time they hold for.
    Raises `ConfigurationError` if the file cannot be read.
    """
    try:
        status = path.stat()
        key, stamp = str(path.resolve()), [status.st_size, status.st_mtime_ns]
        remembered = _read(memory) if memory else {}
        match remembered.get(key):
            case [[*known], str(sha256), str(md5)] if known == stamp:
                return Digests(sha256, md5)
        computed = _compute(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    if memory:
        remembered.pop(key, None)
        remembered[key] = [stamp, *computed]
        _write(memory, dict(list(remembered.items())[-_REMEMBERED:]))
    return computed


def identify(path: Path, memory: Path | None = None) -> ModelSpec | None:
    """The catalogue's model with the bytes of `path`, a file or a folder with one; else None."""
    files = weight_files(path)
    if len(files) != 1:
        return None
    return catalog.find_digest(*digests(files[0], memory))


def _compute(path: Path) -> Digests:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
            md5.update(chunk)
    return Digests(sha256.hexdigest(), md5.hexdigest())


def _read(memory: Path) -> dict[str, object]:
    try:
        content = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(memory: Path, content: dict[str, object]) -> None:
    try:
        atomic_write(memory, json.dumps(content, indent=1).encode())
    except OSError as error:  # a read-only folder costs a second at each start, no more
        log.debug("digests are not remembered in %s: %s", memory, error)
