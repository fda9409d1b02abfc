import importlib
import io
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rmbg_service.imaging import png


def read(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    image = Image.open(io.BytesIO(data))
    image.load()
    return np.asarray(image)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 200), width=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_what_was_written_is_read_back(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (height, width, 3), np.uint8)
    alpha = rng.choice(np.array([0, 1, 128, 255], np.uint8), (height, width))
    rgba = read(png.write_rgba(rgb, alpha))
    assert (rgba[..., 3] == alpha).all()
    assert (rgba[..., :3][alpha > 0] == rgb[alpha > 0]).all()
    assert (rgba[..., :3][alpha == 0] == 0).all()
    assert (read(png.write_grey(alpha)) == alpha).all()


def test_the_file_is_valid_to_opencv_and_to_a_strict_pillow() -> None:
    import cv2

    rgb = np.full((130, 70, 3), (10, 20, 30), np.uint8)
    alpha = np.full((130, 70), 255, np.uint8)
    data = png.write_rgba(rgb, alpha)
    Image.open(io.BytesIO(data)).verify()
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    assert (decoded == (30, 20, 10, 255)).all()


def test_without_isa_l_the_standard_library_writes_the_same_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (100, 50, 3), np.uint8)
    alpha = np.full((100, 50), 255, np.uint8)
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    try:
        fallback = importlib.reload(png)
        assert fallback.compressobj.__module__ == "zlib"
        assert (read(fallback.write_rgba(rgb, alpha))[..., :3] == rgb).all()
    finally:
        monkeypatch.undo()
        importlib.reload(png)
