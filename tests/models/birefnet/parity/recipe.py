"""Deterministic weights and pictures for the parity tests."""

import hashlib
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HERE = Path(__file__).parent
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def stream(tag: str) -> np.random.RandomState:
    """One independent, stable stream of numbers for each name."""
    return np.random.RandomState(
        int.from_bytes(hashlib.sha256(tag.encode()).digest()[:4], "little")
    )


def value(key: str, shape: tuple[int, ...]) -> Tensor:
    """The float32 values of the state-dict entry `key`."""
    n = math.prod(shape)
    u = (stream(f"0:{key}").random_sample(n) * 2.0 - 1.0) * math.sqrt(3.0)
    moves = "offset_conv" in key or "modulator_conv" in key
    if key.endswith("running_var"):
        v = 1.0 + 0.4 * u / math.sqrt(3.0)
    elif key.endswith("running_mean"):
        v = 0.1 * u
    elif key.endswith("relative_position_bias_table"):
        v = 0.5 * u
    elif key.endswith(".bias"):
        v = (0.5 if moves else 0.1) * u
    elif len(shape) == 1:
        v = 1.0 + 0.1 * u
    else:
        gain = 1.4 if "squeeze" in key or "decoder" in key else 1.0
        if "offset_conv" in key or "conv_out1" in key:
            gain = 2.0
        v = u * (gain / math.sqrt(math.prod(shape[1:])))
    return torch.from_numpy(v.astype(np.float32).reshape(shape))


def image(h: int, w: int) -> NDArray[np.uint8]:
    """`(h, w, 3)`: ramps, a disk, a box, stripes and noise, from integers only."""
    y, x = np.mgrid[0:h, 0:w].astype(np.int64)
    r = (x * 255) // max(w - 1, 1)
    g = (y * 255) // max(h - 1, 1)
    b = ((x + y) * 255) // max(h + w - 2, 1)
    a = np.stack([r, g, b], -1)
    radius = (2 * x - w) ** 2 * h * h + (2 * y - h) ** 2 * w * w
    disk = radius < (w * h) ** 2 * 3 // 10
    box = (x > w // 8) & (x < w // 3) & (y > h // 2) & (y < h * 7 // 8)
    a = np.where(disk[..., None], 255 - a[..., ::-1], a)
    a = np.where(box[..., None], np.stack([b, r, g], -1) // 2, a)
    a = np.where((((x * 32) // w + (y * 32) // h) % 8 == 0)[..., None], a // 3, a)
    a = a + stream("image:0").randint(-12, 13, size=(h, w, 3))
    picture: NDArray[np.uint8] = np.clip(a, 0, 255).astype(np.uint8)
    return picture


def normalise(picture: NDArray[np.uint8]) -> Tensor:
    """`(1, 3, h, w)` float32."""
    x = (picture.astype(np.float32) / np.float32(255) - MEAN) / STD
    return torch.from_numpy(x.transpose(2, 0, 1)[None].copy())


def keys(backbone: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of every entry of the official state dict."""
    entries = json.loads((HERE / f"keys_{backbone}.json").read_bytes())
    return {key: (tuple(shape), dtype) for key, (shape, dtype) in entries.items()}


@cache
def official(backbone: str) -> dict[str, Tensor]:
    """A whole official state dict; integer entries are zero. Do not change the tensors."""
    return {
        key: value(key, shape) if dtype == "float32" else torch.zeros(shape, dtype=torch.int64)
        for key, (shape, dtype) in keys(backbone).items()
    }


@cache
def expected() -> dict[str, Any]:
    """The cases and check sums of `expected.json`."""
    content: dict[str, Any] = json.loads((HERE / "expected.json").read_bytes())
    return content


@cache
def logits() -> dict[str, NDArray[np.float32]]:
    """The arrays of `expected.npz`."""
    with np.load(HERE / "expected.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}
