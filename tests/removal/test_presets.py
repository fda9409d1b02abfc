"""Presets: what their files are like, and that the documentation has the same table."""

import io
import re
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from rmbg_service.imaging.compose import draw_shadow
from rmbg_service.imaging.cutout import Cutout
from rmbg_service.imaging.layout import Layout
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.presets import PRESETS, Preset, PresetName
from rmbg_service.removal.result import Encoded, encode
from rmbg_service.removal.shadow import apply_shadow_options

LIMIT = 50_000_000
DOCS = Path(__file__).parents[2] / "docs" / "presets.md"
EVERY = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS.keys())


def photo(width: int, height: int, subject: tuple[int, int, int, int]) -> Cutout:
    """A dark ellipse of noise in the box `subject`: left, top, width and height."""
    left, top, across, down = subject
    alpha = np.zeros((height, width), np.uint8)
    centre, radii = (left + across // 2, top + down // 2), (across // 2, down // 2)
    cv2.ellipse(alpha, centre, radii, 0, 0, 360, 255, -1)
    rgb = np.random.default_rng(1).integers(0, 90, (height, width, 3)).astype(np.uint8)
    return Cutout(rgb, alpha)


WIDE = photo(4000, 3000, (300, 900, 3300, 1900))
TALL = photo(3000, 4000, (700, 100, 1400, 3800))
AT_THE_EDGE = photo(3000, 3000, (0, 800, 2200, 2200))
SUBJECTS = pytest.mark.parametrize(
    "cutout", [WIDE, TALL, AT_THE_EDGE], ids=["wide", "tall", "at-the-edge"]
)


def made(cutout: Cutout, preset: Preset, **given: Any) -> Encoded:
    options = RemovalOptions.model_validate({"preset": preset.name} | given)
    return encode(apply_shadow_options(cutout, options), options, LIMIT)


def pixels(result: Encoded) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(result.data)))


def stated_size(preset: Preset) -> tuple[int, int]:
    width, height = map(int, preset.canvas.split("x"))
    return width, height


@EVERY
@SUBJECTS
def test_a_file_is_what_its_preset_says(preset: Preset, cutout: Cutout) -> None:
    result = made(cutout, preset)
    image = Image.open(io.BytesIO(result.data))
    assert image.size == (result.width, result.height) == stated_size(preset)
    assert image.format == preset.format.upper()
    assert preset.max_bytes is None or len(result.data) <= preset.max_bytes
    dark = pixels(result).min(axis=2) < 128
    across, down = (np.flatnonzero(dark.any(axis=axis)) for axis in (0, 1))
    fill = max(np.ptp(across) / image.width, np.ptp(down) / image.height)
    scale = float(preset.scale.rstrip("%")) / 100
    assert fill == pytest.approx(scale, abs=0.01)
    assert result.placement is not None
    assert result.placement.fill == pytest.approx(scale, abs=0.001)
    assert not result.placement.limited
    far = cv2.dilate(dark.astype(np.uint8), np.ones((49, 49), np.uint8)) == 0
    assert far.any()
    assert (pixels(result)[far] == 255).all(), "the background is white to the last pixel"


@EVERY
def test_a_small_subject_gets_a_smaller_canvas_of_the_same_shape(preset: Preset) -> None:
    width, height = stated_size(preset)
    result = made(photo(600, 600, (200, 200, 200, 260)), preset)
    assert min(result.width, result.height) >= min(preset.min_side, width, height)
    assert result.width / result.height == pytest.approx(width / height, rel=0.01)
    assert result.placement is not None
    assert result.placement.factor <= 1
    scale = float(preset.scale.rstrip("%")) / 100
    assert result.placement.limited == (result.placement.fill < scale - 0.001)


@EVERY
def test_a_small_subject_is_enlarged_if_that_is_asked_for(preset: Preset) -> None:
    result = made(photo(600, 600, (200, 200, 200, 260)), preset, upscale=True)
    assert (result.width, result.height) == stated_size(preset)
    assert result.placement is not None
    assert not result.placement.limited


def test_explicit_options_take_precedence() -> None:
    options = RemovalOptions(preset="amazon", background="red", scale="60%", max_bytes=1000)
    assert str(options.canvas) == "2000x2000"
    assert (str(options.background), str(options.scale)) == ("red", "60%")
    assert (options.max_bytes, options.min_side, options.format) == (1000, None, "jpeg")
    assert RemovalOptions(preset="amazon", background=None).background is None
    assert RemovalOptions(preset="amazon").min_side == 1000
    assert RemovalOptions.model_validate(options.model_dump(mode="json")) == options


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"preset": "nowhere"}, "amazon"),
        ({"preset": 5}, "amazon"),
        ({"preset": "amazon", "output": "matte"}, "preset needs output=cutout"),
        ({"preset": "amazon", "crop": True}, "crop cannot be combined"),
    ],
)
def test_what_a_preset_cannot_be_combined_with(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        RemovalOptions.model_validate(given)


def test_every_preset_has_its_rule_and_its_source() -> None:
    assert get_args(PresetName) == tuple(PRESETS)
    for preset in PRESETS.values():
        assert {*preset.stated, *preset.reported} <= preset.options.keys()
        assert not set(preset.stated) & set(preset.reported)
        assert all(source.startswith("https://") for source in preset.sources)
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", preset.read_on)


def test_the_documented_table_is_the_modules() -> None:
    def cell(preset: Preset, name: str) -> str:
        value = preset.options[name]
        text = "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
        mark = "**" if name in preset.stated else "*" if name in preset.reported else ""
        return f"{mark}{text}{mark}"

    names = ("canvas", "min_side", "scale", "position", "background", "format", "max_bytes")
    rows = []
    for preset in PRESETS.values():
        links = ", ".join(f"[{n}]({url})" for n, url in enumerate(preset.sources, 1))
        cells = [cell(preset, name) for name in names]
        texts = [f"`{preset.name}`", preset.title, *cells, f"{links}, {preset.read_on}"]
        rows.append(f"| {' | '.join(texts)} |")
    documented = [line for line in DOCS.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert documented == rows


def largest_step(image: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
    """The largest difference between neighbours in a row, away from the subject."""
    grey = image.mean(axis=2).astype(np.float32)
    subject = cv2.dilate((grey < 100).astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    assert grey[~subject].min() < 230, "there is a shadow"
    for edge in (grey[0], grey[-1], grey[:, 0], grey[:, -1]):
        assert edge.min() > 250, "it ends inside the canvas"
    return float(np.abs(np.diff(grey, axis=1))[~subject[:, 1:]].max())


@pytest.mark.parametrize("angle", [60, 110, -75, -170])
def test_a_painted_shadow_does_not_end_where_the_photo_did(angle: float) -> None:
    """The subject stands at the edge of its photo to which its shadow falls."""
    subject = photo(800, 600, (500, 50, 300, 500))
    if angle < 0:
        rgb, alpha = subject.rgb[:, ::-1], subject.alpha[:, ::-1]
        subject = Cutout(np.ascontiguousarray(rgb), np.ascontiguousarray(alpha))
    options = RemovalOptions(preset="amazon", shadow="drop", shadow_angle=angle, quality=100)
    cutout = apply_shadow_options(subject, options)
    assert largest_step(pixels(encode(cutout, options, LIMIT))) < 20
    cut_off = draw_shadow(cutout, Layout(*cutout.size))
    assert largest_step(pixels(encode(cut_off, options, LIMIT))) > 60, "as it would be otherwise"


def test_a_shadow_keeps_its_place_at_its_subject() -> None:
    """Drawn at full size and laid out with it, or laid out first: the same shadow."""
    cutout = photo(900, 700, (300, 100, 200, 400))
    options = RemovalOptions(shadow="drop", scale="50%")
    late = apply_shadow_options(cutout, options)
    early = draw_shadow(late, Layout(*late.size))
    first, second = (
        pixels(encode(each, options, LIMIT))[..., 3].astype(int) for each in (late, early)
    )
    assert first.shape == second.shape
    assert np.abs(first - second).mean() < 0.5
