"""Which files hold the weights of a checkpoint."""

import json
from pathlib import Path

from rmbg_service.errors import ConfigurationError

_NAMES = ("model.safetensors", "pytorch_model.bin")
"""What the hub calls the weights of a checkpoint, the safer format first."""


def weight_files(path: Path) -> list[Path]:
    """The files with the weights of `path`: a file by itself, or what a folder holds.

    Raises `ConfigurationError` if there are none, or several that could be meant.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigurationError(f"{path} is not a file or a folder")
    for name in _NAMES:
        if (path / name).is_file():
            return [path / name]
        if (path / f"{name}.index.json").is_file():
            return _shards(path / f"{name}.index.json")
    for pattern in ("*.safetensors", "*.pth", "*.bin"):
        found = sorted(path.glob(pattern))
        if len(found) == 1:
            return found
        if found:
            names = ", ".join(file.name for file in found)
            raise ConfigurationError(
                f"{path} holds several weight files ({names}): name the one that you mean"
            )
    raise ConfigurationError(f"{path} holds no weights (model.safetensors)")


def _shards(index: Path) -> list[Path]:
    """The files of a sharded checkpoint, from its `*.index.json`.

    The index is data from elsewhere: it may name only files in its own folder.
    """
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        if not names or any(Path(name).name != name for name in names):
            raise ValueError("it must name files in its own folder")
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise ConfigurationError(f"{index} is not a checkpoint index: {error}") from None
    return [index.parent / name for name in names]


def size_bytes(path: Path) -> int:
    """Bytes of the weights in `path`; links count as what they point to."""
    return sum(file.stat().st_size for file in weight_files(path))
