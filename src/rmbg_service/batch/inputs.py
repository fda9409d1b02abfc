"""From the inputs of a command line to the pictures they mean."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from rmbg_service.system.files import is_folder, place_of

PICTURES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif"),
    *(".heic", ".heif", ".tif", ".tiff", ".gif", ".bmp"),
)
"""Suffixes of what is taken from a folder; a file that is named itself may have any."""


@dataclass(frozen=True)
class Found:
    """A picture; `name` is its path below the folder it was found in, to be mirrored."""

    path: Path
    name: Path


@dataclass(frozen=True)
class Missing:
    """An input that is not there or cannot be looked into."""

    path: Path
    reason: str


def find(inputs: Sequence[str], out: Path) -> Iterator[Found | Missing]:
    """The pictures of files, folders and patterns, each once, in a fixed order.

    Folders are walked through, except for `out`, hidden names and links to folders, so that there
    are no loops. A folder's pictures keep their path below it; of several folders, each has its
    own name before that.
    """
    out = out.resolve()
    paths: list[Path | Missing] = []
    for text in inputs:
        paths += _expand(text, out)
    several = sum(isinstance(path, Path) and is_folder(path) for path in paths) > 1
    seen: set[str] = set()
    for path in paths:
        for found in [path] if isinstance(path, Missing) else _below(path, several, out):
            place = place_of(found.path)
            if place not in seen:
                seen.add(place)
                yield found


def _expand(text: str, out: Path) -> list[Path | Missing]:
    if os.path.lexists(text):
        return [Path(text)]
    matches = map(Path, sorted(glob(text, recursive=True)))  # noqa: PTH207 - also absolute patterns
    inputs = [match for match in matches if not match.resolve().is_relative_to(out)]
    return [*inputs] or [Missing(Path(text), "no such file or folder")]


def _below(path: Path, several: bool, out: Path) -> Iterator[Found | Missing]:
    if not is_folder(path):
        yield Found(path, Path(path.name))
        return
    prefix = Path(path.resolve().name) if several else Path()
    unreadable: list[OSError] = []
    for folder, folders, files in os.walk(path, onerror=unreadable.append):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and Path(folder, name).resolve() != out
        )
        for name in sorted(files):
            file = Path(folder, name)
            if not name.startswith(".") and file.suffix.lower() in PICTURES:
                yield Found(file, prefix / file.relative_to(path))
    for error in unreadable:
        yield Missing(Path(error.filename), error.strerror or str(error))
