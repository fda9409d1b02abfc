"""The names of the outputs below their folder, on a disk or in an object store."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path, PurePath, PurePosixPath
from string import Formatter
from typing import NamedTuple

from rmbg_service.batch.inputs import InputImage
from rmbg_service.errors import ConfigurationError
from rmbg_service.system.files import absolute_path, is_folder, real_path

DEFAULT_NAME, SEVERAL_NAME = "{stem}.{ext}", "{stem}-{preset}.{ext}"
"""Templates of the names, with one cutout of each image and with several."""

_PLACEHOLDERS = {"stem", "preset", "ext"}


class Variant(NamedTuple):
    """One of the cutouts of an image: its preset or "", its suffix with the dot, its fingerprint.

    The fingerprint is that of the options, see `journal.options_fingerprint`.
    """

    preset: str
    suffix: str
    fingerprint: str


def check_name(template: str, presets: int) -> None:
    """Raise `ConfigurationError` for a template of `--name` that cannot name all outputs.

    `presets` is how many were given.
    """
    try:
        fields = [each for each in Formatter().parse(template) if each[1] is not None]
    except ValueError as error:
        raise ConfigurationError(f"--name {template}: {error}") from None
    found = {name for _, name, _, _ in fields}
    if found - _PLACEHOLDERS or any(spec or conversion for *_, spec, conversion in fields):
        raise ConfigurationError(
            f"--name {template}: expected the fields {{stem}}, {{preset}} and {{ext}}"
        )
    path = PurePath(template)
    if "stem" not in found or path.is_absolute() or ".." in path.parts:
        raise ConfigurationError(
            f"--name {template}: expected a path below the output folder with {{stem}} in it"
        )
    if presets == 0 and "preset" in found:
        raise ConfigurationError(f"--name {template}: {{preset}} needs --preset")
    if presets > 1 and "preset" not in found:
        raise ConfigurationError(f"--name {template}: several presets need {{preset}} in it")


class OutputNames:
    """Assigns every cutout a name below the output folder; no two share one.

    `holiday/a.jpg` becomes `holiday/a.png` with the suffix `.png`, or what `template` makes of its
    stem, preset and suffix. A name belongs to the image that took it first, in this run or an
    earlier one (`owners`: name to image), as long as that image `exists`; another image gets
    `holiday/a.jpg.png`, or `holiday/a.jpg-2.png`. Names that differ only in case count as the same.
    A name is not assigned if it is the one of a folder or `is_blocked`; a folder of images whose
    name is a file's, assigned or one that `is_file`, becomes `holiday-2`.
    """

    def __init__(
        self,
        template: str,
        owners: Mapping[str, str],
        exists: Callable[[str], bool],
        is_blocked: Callable[[PurePosixPath], bool],
        is_file: Callable[[PurePosixPath], bool],
    ) -> None:
        self._template = template
        self._owners = {name.casefold(): owner for name, owner in owners.items()}
        self._exists = exists
        self._is_blocked = is_blocked
        self._is_file = is_file
        self._taken: set[str] = set()
        self._folders: set[str] = set()

    def assign(self, source: str, name: PurePath, preset: str, suffix: str) -> PurePosixPath:
        """The name for a cutout of the image `source`; the same one when called again.

        `name` is the path of the image below the folder it was found in.
        """
        folder = self._folder_of(name)
        for stem in _stems(name):
            fields = {"stem": stem, "preset": preset, "ext": suffix.removeprefix(".")}
            output = folder / self._template.format_map(fields)
            key = _key(output)
            owner = self._owners.get(key, source)
            is_free = owner == source or (key not in self._taken and not self._exists(owner))
            if is_free and key not in self._folders and not self._is_blocked(output):
                self._owners[key] = source
                self._taken.add(key)
                self._folders.update(map(_key, output.parents))
                return output
        raise AssertionError("the candidates never end")

    def _folder_of(self, name: PurePath) -> PurePosixPath:
        """The parent of `name`; each part whose path is a file's gets a number."""
        folder = PurePosixPath()
        for part in name.parent.parts:
            numbered = (
                folder / (f"{part}-{number}" if number > 1 else part) for number in count(1)
            )
            folder = next(
                path
                for path in numbered
                if _key(path) not in self._taken and not self._is_file(path)
            )
        return folder


class OutputPaths:
    """`OutputNames` for the folder `out` on a disk: no output is one of the `inputs`."""

    def __init__(
        self,
        out: Path,
        owners: Mapping[str, str],
        inputs: Iterable[Path] = (),
        template: str = DEFAULT_NAME,
    ) -> None:
        self._out = out
        self._inputs = {real_path(path) for path in inputs}
        self._names = OutputNames(
            template, owners, os.path.lexists, self._is_blocked, self._is_file
        )

    def output_of(self, image: InputImage, variant: Variant) -> Path:
        """The path of a cutout of the image; the same one when called again."""
        self._inputs.add(real_path(image.path))
        source = absolute_path(image.path)
        return self._out / self._names.assign(source, image.name, variant.preset, variant.suffix)

    def _is_blocked(self, name: PurePosixPath) -> bool:
        path = self._out / name
        return is_folder(path) or real_path(path) in self._inputs

    def _is_file(self, name: PurePosixPath) -> bool:
        path = self._out / name
        return os.path.lexists(path) and not is_folder(path)


def _key(name: PurePosixPath) -> str:
    return name.as_posix().casefold()


def _stems(name: PurePath) -> Iterator[str]:
    """`a` of `a.jpg`, then `a.jpg`, `a.jpg-2`, ..."""
    yield name.with_suffix("").name
    yield name.name
    for number in count(2):
        yield f"{name.name}-{number}"
