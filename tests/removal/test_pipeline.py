"""Pictures of extreme shapes through every option, and what the filters touch of them."""

from typing import Any

import cv2
import numpy as np
import pytest

from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.removal.option_values import parse_region
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import predict_passes
from rmbg_service.removal.pipeline import cut_out, restrict
from rmbg_service.removal.result import Encoded, encode
from rmbg_service.types import Box, Matte

INPUT = (64, 64)
LIMIT = 10**9
SHAPES = [(1, 60_000), (60_000, 1), (16, 60_000), (60_000, 16)]


def long_picture(shape: tuple[int, int]) -> SourceImage:
    """A picture of `shape` (height, width), brighter and opaque in the middle."""
    y = 1 - np.abs(np.linspace(-1, 1, shape[0], dtype=np.float32))[:, None]
    x = 1 - np.abs(np.linspace(-1, 1, shape[1], dtype=np.float32))[None]
    bright = np.maximum(x, y) if 1 in shape else np.minimum(x, y)
    rgb = np.repeat((255 * bright)[..., None], 3, axis=2).astype(np.uint8)
    alpha = np.minimum(510 * bright, 255).astype(np.uint8)
    return SourceImage(ImageInfo("array", shape[1], shape[0]), rgb, alpha)


def soft_band(*, across: bool) -> Matte:
    """A matte of the middle half: of the rows, or of the columns if `across`."""
    matte = np.zeros(INPUT, np.float32)
    matte[:, 16:48] = 1
    soft = cv2.GaussianBlur(matte, (0, 0), 2)
    return np.ascontiguousarray(soft if across else soft.T, np.float32)


def removed(source: SourceImage, options: RemovalOptions) -> Encoded:
    """Every step, with the middle of the long side as the answer to each view."""
    source = restrict(source, options)
    height, width = source.rgb.shape[:2]
    matte = soft_band(across=width >= height)
    passes = predict_passes(source, options, INPUT)
    inputs = next(passes)
    while True:
        try:
            inputs = passes.send([matte] * len(inputs))
        except StopIteration as end:
            return encode(cut_out(source, end.value, options), options, LIMIT)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"detail": "off", "decontaminate": False},
        {"detail": "crop"},
        {"semitransparency": False},
        {"shadow": "keep"},
        {"shadow": "auto", "shadow_angle": -180, "shadow_softness": 1, "shadow_opacity": 2},
        {"shadow": "drop", "shadow_angle": 90, "shadow_softness": 0, "background": "red"},
        {"shadow": "drop", "output": "layers"},
        {"output": "matte"},
        {"crop": True, "margin": "20% 5px", "shadow": "drop"},
        {"scale": "100%", "shadow": "drop"},
        {"scale": "10%", "position": "0% 100%"},
        {"position": "100% 0%"},
        {"roi": "0% 0% 80% 80%"},
        {"max_side": 1000},
        {"max_pixels": 1000, "format": "jpeg"},
        {"format": "zip"},
        {"format": "webp", "max_side": 16_000},
        {"format": "webp-lossy", "max_side": 16_000},
        {"format": "avif", "max_side": 16_000},
        {"format": "psd", "max_side": 30_000, "shadow": "drop", "background": "red"},
    ],
    ids=str,
)
def test_a_long_and_narrow_picture_is_finished(
    shape: tuple[int, int], given: dict[str, Any]
) -> None:
    options = RemovalOptions.model_validate(given)
    result = removed(long_picture(shape), options)
    assert result.data
    assert result.box is not None
    if not {"crop", "max_side", "max_pixels"} & given.keys():
        assert (result.height, result.width) == shape


@pytest.mark.parametrize("shape", SHAPES)
def test_no_filter_reaches_farther_than_a_narrow_picture_is_wide(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV's box filter costs its height a row: a reach with the long side would be quadratic."""
    blur = cv2.blur
    windows: list[tuple[int, int]] = []

    def recording(plane: Any, size: tuple[int, int], **more: Any) -> Any:
        if plane.shape[:2] == shape:
            windows.append(size)
        return blur(plane, size, **more)

    monkeypatch.setattr(cv2, "blur", recording)
    removed(long_picture(shape), RemovalOptions())
    assert windows
    assert max(max(size) for size in windows) <= 2 * min(shape) + 1


def test_the_region_of_interest_is_cut_out_and_pasted_back() -> None:
    source = long_picture((200, 300))
    options = RemovalOptions(roi="100px 50px 200px 150px", detail="off")
    assert parse_region("100px 50px 200px 150px").box(300, 200) == Box(100, 50, 200, 150)
    part = restrict(source, options)
    assert part.rgb.shape == (100, 100, 3)
    result = removed(source, options)
    assert (result.width, result.height) == (300, 200)
    assert result.box is not None
    assert (result.box.left, result.box.top) >= (100, 50)
