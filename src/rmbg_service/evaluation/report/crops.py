"""The images in the report: cutouts, and the worst edges with each candidate's matte."""

import base64
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.evaluation.dataset import Sample, load_matte, load_rgb
from rmbg_service.evaluation.edges import Flags, spoilt_edge, visibly_wrong
from rmbg_service.matting.arrays import resize, size_within
from rmbg_service.matting.foreground import estimate_foreground
from rmbg_service.types import Box, Matte

CROP_PX = 280
WHOLE_PX = 280
SHEET_PX = 240

Panel = NDArray[np.uint8]
"""`(H, W, 3)` uint8 sRGB."""

EXTRA = np.array([230, 40, 40], np.float32)
MISSING = np.array([40, 110, 250], np.float32)


@dataclass(frozen=True)
class PredictionCrop:
    """One candidate's matte in the crop, and its errors, as data URIs."""

    matte: str
    error: str


@dataclass(frozen=True)
class SampleCrops:
    """A photo and the crop of its worst edge, as data URIs; `predictions` by candidate."""

    whole: str
    image: str
    truth: str
    predictions: dict[str, PredictionCrop]


def sheet_cutout(sample: Sample, matte: Matte) -> str:
    """The cutout by `matte` with clean colours, at most `SHEET_PX` px, as a data URI with alpha."""
    rgb = load_rgb(sample.image)
    size = size_within(matte.shape, SHEET_PX)
    small, alpha = resize(rgb, size), _grey(resize(matte, size))
    return _data_uri(np.dstack([estimate_foreground(small, alpha), alpha]))


def sample_crops(sample: Sample, mattes: dict[str, Matte]) -> SampleCrops:
    """Crop a sample where the edge of the first of `mattes` is worst."""
    rgb, truth = load_rgb(sample.image), load_matte(sample.alpha)
    box = worst_box(next(iter(mattes.values())), truth, sample)
    part = slice(box.top, box.bottom), slice(box.left, box.right)
    predictions = {
        name: PredictionCrop(
            matte=_data_uri(_grey(matte[part])),
            error=_data_uri(error_map(rgb[part], matte[part], truth[part])),
        )
        for name, matte in mattes.items()
    }
    return SampleCrops(
        whole=_data_uri(_whole(rgb, box)),
        image=_data_uri(rgb[part]),
        truth=_data_uri(_grey(truth[part])),
        predictions=predictions,
    )


def worst_box(prediction: Matte, truth: Matte, sample: Sample) -> Box:
    """The square of `CROP_PX` px (less in a smaller image) with the most spoilt edge pixels.

    If no edge is spoilt, the square with the most visibly wrong pixels; if none is visibly wrong,
    the one with the largest error.
    """
    spoilt = spoilt_edge(prediction, truth, sample.tolerance_px, sample.edge_level)
    if spoilt.any():
        return _fullest_box(spoilt)
    wrong = visibly_wrong(prediction, truth, sample.tolerance_px)
    return _fullest_box(wrong if wrong.any() else np.abs(prediction - truth))


def error_map(rgb: Panel, prediction: Matte, truth: Matte) -> Panel:
    """The photo in dim grey; red where the prediction is too high, blue where it is too low."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    error = (prediction - truth)[..., None]
    colour = np.where(error > 0, EXTRA, MISSING)
    share = np.sqrt(np.abs(error))  # so that a slight halo is visible
    return np.asarray((1 - share) * (0.35 * grey + 40) + share * colour, np.uint8)


def _fullest_box(weights: Flags | Matte) -> Box:
    height, width = weights.shape
    wide, high = min(CROP_PX, width), min(CROP_PX, height)
    sums = cv2.integral(weights.astype(np.float32))
    inside = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    # Of the squares with the same sum, the one nearest to the middle of all of them.
    corners = np.argwhere(inside >= inside.max() - 1e-3)
    middle = np.square(corners - corners.mean(axis=0)).sum(axis=1).argmin()
    top, left = corners[middle].tolist()
    return Box(left, top, left + wide, top + high)


def _whole(rgb: Panel, box: Box) -> Panel:
    """The photo at `WHOLE_PX` px with a frame around the crop."""
    height, width = rgb.shape[:2]
    scale = WHOLE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.ascontiguousarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    left, top, right, bottom = (round(value * scale) for value in box)
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 2)):
        cv2.rectangle(small, (left, top), (right, bottom), colour, thickness)
    return small


def _grey(matte: Matte) -> Panel:
    return np.rint(matte * 255).astype(np.uint8)


def _data_uri(image: Panel) -> str:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=88)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
