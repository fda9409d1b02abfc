"""Where the cutouts go: one named file, or below a folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rmbg_service.errors import ConfigurationError
from rmbg_service.imaging.encode import ENCODERS, LAYERS, Encoder
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.system.files import is_folder

DEFAULT_FOLDER = Path("cutouts")


@dataclass(frozen=True)
class Target:
    """`path` is the one output file or the folder of all; `format` is what its suffix asks for."""

    path: Path
    is_file: bool
    format: str | None = None


def encoder_of(options: RemovalOptions) -> Encoder:
    """What writes the outputs, and so what they are called and announced as."""
    return LAYERS if options.output == "layers" else ENCODERS[options.format]


def target_of(
    inputs: Sequence[str], out: Path | None, format_: str | None, output: str | None = None
) -> Target:
    """What `-o` means for these inputs, `--format` and `--output`.

    It names a file when it has a suffix, is no folder, and there is one input, which is no folder.
    Raises `ConfigurationError` for a suffix that cannot be written or contradicts the options, and
    for a folder that is an input, too: there, cutouts would be taken for pictures.
    """
    if format_ == "auto":
        raise ConfigurationError("the format names the files beforehand: say png or jpeg, not auto")
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
