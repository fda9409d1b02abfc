"""Where the cutouts go: one named file, or a file for each image below a folder."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rmbg_service.batch.inputs import InputImage
from rmbg_service.errors import ConfigurationError
from rmbg_service.imaging.encode import ENCODERS, LAYERS, Encoder
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.system.files import absolute_path, is_folder

DEFAULT_FOLDER = Path("cutouts")


@dataclass(frozen=True)
class Target:
    """`path` is the output file or the folder of all outputs; `format` is that of its suffix."""

    path: Path
    is_file: bool
    format: str | None = None


class OutputPaths:
    """Assigns every image a path below the folder `out`, ending in `suffix`; no two share one.

    `holiday/a.jpg` becomes `holiday/a.png`. A path belongs to the image that took it first, in this
    run or an earlier one (`owners`: output to input), as long as that image exists; another one
    becomes `holiday/a.jpg.png`, or `holiday/a.jpg-2.png`. Paths that differ only in case count as
    the same, and the path of one of the `inputs` is never assigned.
    """

    def __init__(
        self, out: Path, suffix: str, owners: Mapping[str, str], inputs: Iterable[Path] = ()
    ) -> None:
        self._out = out
        self._suffix = suffix
        self._owners = {output.casefold(): owner for output, owner in owners.items()}
        self._taken: set[str] = set()
        self._inputs = {path.resolve() for path in inputs}

    def output_of(self, image: InputImage) -> Path:
        """The path of the cutout; the same one when called again."""
        source = absolute_path(image.path)
        self._inputs.add(image.path.resolve())
        for name in _candidates(image.name, self._suffix):
            key = name.as_posix().casefold()
            owner = self._owners.get(key, source)
            free = owner == source or (key not in self._taken and not os.path.lexists(owner))
            if free and (self._out / name).resolve() not in self._inputs:
                self._owners[key] = source
                self._taken.add(key)
                return self._out / name
        raise AssertionError("the candidates never end")


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
    one_file = len(inputs) == 1 and not is_folder(inputs[0]) and not _is_pattern(inputs[0])
    if one_file and out.suffix and not is_folder(out):
        if output == "layers" and out.suffix.lower() != f".{LAYERS.extension}":
            raise ConfigurationError(f"{out}: layers are a zip; name a file that ends in .zip")
        return Target(out, True, _format_of(out, format_))
    if out.exists() and not is_folder(out):
        raise ConfigurationError(f"{out} is a file; several cutouts need a folder")
    if any(is_folder(path) and Path(path).resolve() == out.resolve() for path in inputs):
        raise ConfigurationError(f"{out} is an input; name another folder with -o")
    return Target(out, False)


def _is_pattern(text: str) -> bool:
    return not os.path.lexists(text) and any(mark in text for mark in "*?[")


def _format_of(out: Path, format_: str | None) -> str | None:
    suffix = out.suffix.lower().replace(".jpeg", ".jpg")
    fitting = [name for name, row in ENCODERS.items() if f".{row.extension}" == suffix]
    if not fitting:
        known = ", ".join(sorted({f".{row.extension}" for row in ENCODERS.values()}))
        raise ConfigurationError(f"{out}: an output file ends in one of {known}")
    if format_ is not None and format_ not in fitting:
        raise ConfigurationError(f"{out} does not fit --format {format_}")
    return format_ or fitting[0]


def _candidates(name: Path, suffix: str) -> Iterator[Path]:
    yield name.with_suffix(suffix)
    yield name.with_name(f"{name.name}{suffix}")
    number = 2
    while True:
        yield name.with_name(f"{name.name}-{number}{suffix}")
        number += 1
