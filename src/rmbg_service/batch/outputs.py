"""Where the cutouts go: one named file, or a file for each image below a folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from rmbg_service.errors import ConfigurationError
from rmbg_service.imaging.encode import ENCODERS, LAYERS
from rmbg_service.system.files import is_folder, real_path

DEFAULT_FOLDER = Path("cutouts")


@dataclass(frozen=True)
class Target:
    """`path` is the output file or the folder of all outputs; `format` is that of its suffix.

    `url` is the folder instead, as a URL or a path, if the inputs or the outputs are objects.
    """

    path: Path
    is_file: bool
    format: str | None = None
    url: str | None = None


def target_of(
    inputs: Sequence[str], out: Path | None, format_: str | None, output: str | None = None
) -> Target:
    """What `-o` means for these inputs, `--format` and `--output`.

    It names a file if it has a suffix, is not a folder, and there is one input, which is not a
    folder either. Raises `ConfigurationError` for a suffix that cannot be written or contradicts
    the options, for a path below a file, for a file where there may be several cutouts, and for a
    folder that is also an input: its cutouts would be taken for inputs.
    """
    if format_ == "auto":
        raise ConfigurationError("--format auto is for the API: choose png or jpeg")
    out = DEFAULT_FOLDER if out is None else out
    above = next((folder for folder in out.parents if folder.exists()), None)
    if above is not None and not is_folder(above):
        raise ConfigurationError(f"{out}: {above} is a file; expected a folder")
    if is_one_file(inputs) and out.suffix and not is_folder(out):
        if output == "layers" and out.suffix.lower() != f".{LAYERS.extension}":
            raise ConfigurationError(f"{out}: layers are a zip; name a file that ends in .zip")
        return Target(out, True, format_of(out, format_))
    if not is_folder(out) and (out.exists() or _is_named_like_a_file(out)):
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
    if _is_named_like_a_file(PurePath(out)):
        raise ConfigurationError(f"{out} is a file; expected a folder, such as s3://bucket/cutouts")
    return Target(Path(), False, url=out)


def _is_named_like_a_file(out: PurePath) -> bool:
    return out.suffix.lower() in {f".{row.extension}" for row in ENCODERS.values()}


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
