"""Weights to and from a folder or tar file, for machines without a network."""

import json
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import catalog
from rmbg_service.models.digests import digests
from rmbg_service.models.download import check
from rmbg_service.models.files import weight_files
from rmbg_service.models.spec import ModelSpec, Weights
from rmbg_service.models.store import Store
from rmbg_service.system.atomic import atomic_replace, atomic_write

MANIFEST = "manifest.json"
"""Maps `model/file` to its sha256; everything else in a bundle is ignored."""

_CHUNK_BYTES = 1 << 20

Reader = Callable[[str], Iterator[bytes]]
"""The content of a file of a bundle, in chunks."""


def export(specs: Sequence[ModelSpec], target: Path, store: Store) -> list[Path]:
    """Write the weights of `specs` to `target`, a `.tar` file or a folder; the files that went in.

    Raises `ConfigurationError` if one of them is not on this disk.
    """
    if not specs:
        raise ConfigurationError("there is nothing to export: pull a model first")
    files = {}
    for spec in specs:
        path = store.find(spec)
        if path is None or spec.weights is None:
            raise ConfigurationError(f"{spec.name} is not on this disk: pull it first")
        file, *others = weight_files(path)
        if others:
            raise ConfigurationError(f"{spec.name} consists of several files: copy {path} as it is")
        check(file, spec.weights, str(file), store.memory)
        files[f"{spec.name}/{spec.weights.filename}"] = file
    listed = {name: digests(file, store.memory).sha256 for name, file in files.items()}
    manifest = json.dumps(listed, indent=1).encode()
    if target.suffix == ".tar":
        with atomic_replace(target) as temporary:
            _write_tar(temporary, manifest, files)
    else:
        _write_folder(target, manifest, files)
    return list(files.values())


def import_(source: Path, store: Store) -> list[str]:
    """Take the weights of a bundle into the store; the names of their models.

    Each file must have the digest that the bundle and the catalogue name. Raises
    `ConfigurationError` if one does not, or `source` is not a bundle, and `OSError` if the store
    cannot be written.
    """
    with _opened(source) as read:
        with _broken(source):
            manifest = {**json.loads(b"".join(read(MANIFEST)))}
        return [_take(read, name, str(sha256), store) for name, sha256 in manifest.items()]


def _take(read: Reader, name: str, sha256: str, store: Store) -> str:
    spec = catalog.find(name.partition("/")[0])
    if spec is None or spec.weights is None:
        raise ConfigurationError(f"the bundle holds an unknown model: {name}")
    with atomic_replace(store.path(spec)) as part:
        with part.open("wb") as file:
            file.writelines(read(name))
        check(part, Weights(sha256=sha256), name)
        check(part, spec.weights, name)
    return spec.name


@contextmanager
def _opened(source: Path) -> Iterator[Reader]:
    """What reads a file of the bundle by its name; no name reaches outside of it."""
    if source.is_dir():
        yield partial(_chunks, source, partial(_open_below, source))
        return
    with _broken(source):
        archive = tarfile.open(source, "r:")  # noqa: SIM115 - errors of the block are not its own
    with archive:
        yield partial(_chunks, source, partial(_open_member, archive))


def _chunks(source: Path, open_: Callable[[str], IO[bytes]], name: str) -> Iterator[bytes]:
    with _broken(source), open_(name) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


@contextmanager
def _broken(source: Path) -> Iterator[None]:
    """Raise `ConfigurationError` for what reading the bundle raises."""
    try:
        yield
    except (KeyError, OSError, TypeError, ValueError, RecursionError, tarfile.TarError) as error:
        raise ConfigurationError(
            f"{source} is not a whole bundle of `models export`: {error}"
        ) from None


def _open_member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is not a file")
    return file


def _open_below(folder: Path, name: str) -> IO[bytes]:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{name} lies outside of it")
    return path.open("rb")


def _write_tar(path: Path, manifest: bytes, files: dict[str, Path]) -> None:
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = len(manifest)
        archive.addfile(entry, BytesIO(manifest))
        for name, file in files.items():
            archive.add(file.resolve(), name)


def _write_folder(folder: Path, manifest: bytes, files: dict[str, Path]) -> None:
    for name, file in files.items():
        with atomic_replace(folder / name) as part:
            shutil.copyfile(file, part)
    atomic_write(folder / MANIFEST, manifest)
