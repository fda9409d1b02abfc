"""An image of this package whose exact matte is known, to try models on.

The image and its matte in `reference/` are scene 18 of `evaluation.scenes`: a person with hair on a
wooden floor, with soft and sharp edges.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.imaging.resize import shrink
from rmbg_service.types import Matte, ModelInput

_REFERENCE = Path(__file__).parent / "reference"


@cache
def reference_input(size: tuple[int, int]) -> ModelInput:
    """The reference image at `(height, width)`, as the network gets it."""
    return shrink(_read("picture.jpg", "RGB"), size)


@cache
def reference_matte(size: tuple[int, int]) -> Matte:
    """Its matte at `(height, width)`."""
    return shrink(_read("matte.png", "L"), size).astype(np.float32) / np.float32(255)


@cache
def reference_closeup(size: tuple[int, int]) -> ModelInput:
    """The mirrored box around its subject with a margin of 30%, at `(height, width)`."""
    subject = _read("matte.png", "L") >= 128
    sides = []
    for axis in (1, 0):
        (found,) = np.nonzero(subject.any(axis=axis))
        margin = int(0.3 * (found[-1] - found[0]))
        sides.append(slice(max(0, found[0] - margin), found[-1] + margin))
    box = _read("picture.jpg", "RGB")[sides[0], sides[1]]
    return shrink(np.ascontiguousarray(box[:, ::-1]), size)


def _read(name: str, mode: str) -> NDArray[np.uint8]:
    with Image.open(_REFERENCE / name) as image:
        return np.asarray(image.convert(mode), np.uint8)
