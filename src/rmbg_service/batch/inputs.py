"""From the arguments of a command line to the images they name."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from rmbg_service.system.files import IMAGE_SUFFIXES, absolute_path, is_folder, real_path


@dataclass(frozen=True)
class InputImage:
    """An image file; its output mirrors `name`, the path below the folder it was found in."""

    path: Path
    name: Path


@dataclass(frozen=True)
class UnreadableInput:
    """An input that does not exist or cannot be listed."""

    path: Path
    reason: str


def find_inputs(inputs: Sequence[str], out: Path) -> Iterator[InputImage | UnreadableInput]:
    """The images of files, folders and glob patterns, each once, in a fixed order.

    Folders are searched recursively, except for `out`, hidden names and links to folders, so that
    there are no cycles. The images of a folder keep their path below it; if there are several
    folders, the folder's own name comes first. A file that is named itself may have any suffix.
    """
    out = real_path(out)
    roots: list[Path | UnreadableInput] = []
    for text in inputs:
        roots += _expand(text, out)
    several = sum(isinstance(root, Path) and is_folder(root) for root in roots) > 1
    seen: set[str] = set()
    for root in roots:
        for found in [root] if isinstance(root, UnreadableInput) else _below(root, several, out):
            path = absolute_path(found.path)
            if path not in seen:
                seen.add(path)
                yield found


def _expand(text: str, out: Path) -> list[Path | UnreadableInput]:
    try:
        os.lstat(text)
    except FileNotFoundError:
        reason = "no such file or folder"
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        return [Path(text)]
    matches = map(Path, sorted(glob(text, recursive=True)))  # noqa: PTH207 - also absolute patterns
    inputs = [match for match in matches if not real_path(match).is_relative_to(out)]
    return [*inputs] or [UnreadableInput(Path(text), reason)]


def _below(root: Path, several: bool, out: Path) -> Iterator[InputImage | UnreadableInput]:
    if not is_folder(root):
        yield InputImage(root, Path(root.name))
        return
    prefix = Path(real_path(root).name) if several else Path()
    unreadable: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=unreadable.append):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and real_path(Path(folder, name)) != out
        )
        for name in sorted(files):
            file = Path(folder, name)
            if not name.startswith(".") and file.suffix.lower() in IMAGE_SUFFIXES:
                yield InputImage(file, prefix / file.relative_to(root))
    for error in unreadable:
        yield UnreadableInput(Path(error.filename), error.strerror or str(error))
