"""Where the cutouts go: one named file, or a file for each image below a folder."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePath
from string import Formatter
from typing import NamedTuple, TypeVar

from rmbg_service.batch.inputs import InputImage
from rmbg_service.errors import ConfigurationError
from rmbg_service.imaging.encode import ENCODERS, LAYERS, Encoder
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.system.files import absolute_path, is_folder, real_path

DEFAULT_FOLDER = Path("cutouts")
DEFAULT_NAME, SEVERAL_NAME = "{stem}.{ext}", "{stem}-{preset}.{ext}"
"""Templates of the outputs' names, with one cutout of each image and with several."""

_PLACEHOLDERS = {"stem", "preset", "ext"}


@dataclass(frozen=True)
class Target:
    """`path` is the output file or the folder of all outputs; `format` is that of its suffix.

    `url` is the folder instead, as a URL or a path, if the inputs or the outputs are objects.
    """

    path: Path
    is_file: bool
    format: str | None = None
    url: str | None = None


class Variant(NamedTuple):
    """One of the cutouts of an image: its preset or "", its suffix with the dot, its fingerprint.

    The fingerprint is that of the options, see `journal.options_fingerprint`.
    """

    preset: str
    suffix: str
    fingerprint: str


def check_name(template: str, presets: int) -> None:
    """Raise `ConfigurationError` for a template of `--name` that cannot name all outputs."""
    try:
        found = {field for _, field, _, _ in Formatter().parse(template) if field is not None}
    except ValueError as error:
        raise ConfigurationError(f"--name {template}: {error}") from None
    if found - _PLACEHOLDERS:
        raise ConfigurationError(
            f"--name {template}: expected the fields {{stem}}, {{preset}} and {{ext}}"
        )
    path = PurePath(template)
    if "stem" not in found or path.is_absolute() or ".." in path.parts:
        raise ConfigurationError(
            f"--name {template}: expected a path below the output folder with {{stem}} in it"
        )
    if presets > 1 and "preset" not in found:
        raise ConfigurationError(f"--name {template}: several presets need {{preset}} in it")


class OutputPaths:
    """Assigns every cutout a path below the folder `out`; no two share one.

    `holiday/a.jpg` becomes `holiday/a.png` with the `suffix` `.png`, or what `template` makes of
    its stem, preset and suffix. A path belongs to the image that took it first, in this
    run or an earlier one (`owners`: output to input), as long as that image exists; another one
    becomes `holiday/a.jpg.png`, or `holiday/a.jpg-2.png`. Paths that differ only in case count as
    the same, and the path of one of the `inputs` is never assigned. Nor is that of a folder; and a
    folder of images whose path is a file's becomes `holiday-2`.
    """

    def __init__(
        self,
        out: Path,
        suffix: str,
        owners: Mapping[str, str],
        inputs: Iterable[Path] = (),
        template: str = DEFAULT_NAME,
    ) -> None:
        self._out = out
        self._template = template
        self._suffix = suffix
        self._owners = {output.casefold(): owner for output, owner in owners.items()}
        self._taken: set[str] = set()
        self._folders: set[str] = set()
        self._inputs = {real_path(path) for path in inputs}

    def output_of(self, image: InputImage, variant: Variant | None = None) -> Path:
        """The path of a cutout of the image; the same one when called again."""
        preset, suffix = ("", self._suffix) if variant is None else variant[:2]
        source = absolute_path(image.path)
        self._inputs.add(real_path(image.path))
        folder = self._folder_of(image.name)
        for stem in _stems(image.name):
            fields = {"stem": stem, "preset": preset, "ext": suffix.removeprefix(".")}
            name = folder / self._template.format_map(fields)
            key = _key(name)
            owner = self._owners.get(key, source)
            free = owner == source or (key not in self._taken and not os.path.lexists(owner))
            path = self._out / name
            is_taken_folder = key in self._folders or is_folder(path)
            if free and not is_taken_folder and real_path(path) not in self._inputs:
                self._owners[key] = source
                self._taken.add(key)
                self._folders.update(map(_key, name.parents))
                return path
        raise AssertionError("the candidates never end")

    def _folder_of(self, name: Path) -> Path:
        """The parent of `name`; each part whose path is a file's gets a number."""
        folder = Path()
        for part in name.parent.parts:
            numbered = (
                folder / (f"{part}-{number}" if number > 1 else part) for number in count(1)
            )
            folder = next(path for path in numbered if not self._is_file(path))
        return folder

    def _is_file(self, name: Path) -> bool:
        path = self._out / name
        return _key(name) in self._taken or (os.path.lexists(path) and not is_folder(path))


def encoder_of(options: RemovalOptions) -> Encoder:
    """The encoder of the outputs, which gives their suffix and media type."""
    return LAYERS if options.output == "layers" else ENCODERS[options.format]


def target_of(
    inputs: Sequence[str], out: Path | None, format_: str | None, output: str | None = None
) -> Target:
    """What `-o` means for these inputs, `--format` and `--output`.

    It names a file if it has a suffix, is not a folder, and there is one input, which is not a
    folder either. Raises `ConfigurationError` for a suffix that cannot be written or contradicts
    the options, and for a folder that is also an input: its cutouts would be taken for inputs.
    """
    if format_ == "auto":
        raise ConfigurationError("--format auto is for the API: choose png or jpeg")
    out = DEFAULT_FOLDER if out is None else out
    if is_one_file(inputs) and out.suffix and not is_folder(out):
        if output == "layers" and out.suffix.lower() != f".{LAYERS.extension}":
            raise ConfigurationError(f"{out}: layers are a zip; name a file that ends in .zip")
        return Target(out, True, format_of(out, format_))
    if out.exists() and not is_folder(out):
        raise ConfigurationError(f"{out} is a file; several cutouts need a folder")
    if any(is_folder(path) and real_path(path) == real_path(out) for path in inputs):
        raise ConfigurationError(f"{out} is an input; name another folder with -o")
    return Target(out, False)


def is_one_file(inputs: Sequence[str]) -> bool:
    """Whether the inputs, which are not objects, can be one image only."""
    return len(inputs) == 1 and not is_folder(inputs[0]) and not _is_pattern(inputs[0])


def object_target(out: str | None, format_: str | None) -> Target:
    """What `-o` means if the inputs or the outputs are objects: always a folder.

    Raises `ConfigurationError` for a name that looks like a file's.
    """
    if format_ == "auto":
        raise ConfigurationError("--format auto is for the API: choose png or jpeg")
    out = str(DEFAULT_FOLDER) if out is None else out
    if PurePath(out).suffix in {f".{row.extension}" for row in ENCODERS.values()}:
        raise ConfigurationError(f"{out} is a file; expected a folder, such as s3://bucket/cutouts")
    return Target(Path(), False, url=out)


def _is_pattern(text: str) -> bool:
    return not os.path.lexists(text) and any(mark in text for mark in "*?[")


def format_of(out: Path, format_: str | None = None) -> str:
    """The format that the suffix of `out` stands for, or `format_` if that has this suffix.

    Raises `ConfigurationError` for a suffix that no format has, or not this one.
    """
    suffix = out.suffix.lower().replace(".jpeg", ".jpg")
    fitting = [name for name, row in ENCODERS.items() if f".{row.extension}" == suffix]
    if not fitting:
        known = ", ".join(sorted({f".{row.extension}" for row in ENCODERS.values()}))
        raise ConfigurationError(f"{out}: an output file ends in one of {known}")
    if format_ is not None and format_ not in fitting:
        raise ConfigurationError(f"{out} does not fit --format {format_}")
    return format_ or fitting[0]


def _key(name: Path) -> str:
    return name.as_posix().casefold()


_Path = TypeVar("_Path", bound=PurePath)


def candidates(name: _Path, suffix: str) -> Iterator[_Path]:
    """Names for the cutout of `name`, the best one first, without an end."""
    for stem in _stems(name):
        yield name.with_name(f"{stem}{suffix}")


def _stems(name: PurePath) -> Iterator[str]:
    """`a` of `a.jpg`, then `a.jpg`, `a.jpg-2`, ..."""
    yield name.with_suffix("").name
    yield name.name
    for number in count(2):
        yield f"{name.name}-{number}"
