"""From checkpoint files to named tensors. No code in a checkpoint is ever run."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.files import weight_files
from rmbg_service.models.predictor import first_line

PREFIXES = ("module.", "_orig_mod.")
"""What data-parallel training and torch.compile put before every key."""


def read_weights(source: Path) -> dict[str, Tensor]:
    """The checkpoint in `source`, a folder or file.

    Floating tensors become float32, and wrapper prefixes are stripped. Safetensors
    are preferred; a `.bin` or `.pth` file is read as tensors only.
    """
    weights: dict[str, Tensor] = {}
    for path in weight_files(source):
        tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
        weights.update(tensors)
    return {_strip(key): _in_float32(key, value, source) for key, value in weights.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} is not a whole safetensors file: {first_line(error)}"
        ) from None


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ConfigurationError(
            f"{path} holds more than tensors or is damaged, and is refused because a pickle can run"
            " code: use safetensors"
        ) from None
    except Exception as error:  # a file that is not a pickle raises anything
        raise ConfigurationError(f"{path} is not a whole checkpoint: {first_line(error)}") from None
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and _is_plain(value) for key, value in content.items()
    ):
        raise ConfigurationError(f"{path} is not a state dict (names and dense tensors)")
    return content


def _is_plain(value: object) -> bool:
    """Whether it is a tensor with a value for each of its elements."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_nested
    )


def _in_float32(key: str, value: Tensor, source: Path) -> Tensor:
    if not value.is_floating_point():
        return value
    try:
        return value.float()
    except RuntimeError:  # PyTorch only stores some formats of four bits
        raise ConfigurationError(
            f"{source} has {key} in {value.dtype}, which cannot be converted to float32"
        ) from None


def _strip(key: str) -> str:
    while key.startswith(PREFIXES):
        key = key.partition(".")[2]
    return key
