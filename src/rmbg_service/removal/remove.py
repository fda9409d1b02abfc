"""Background removal from Python, without a server."""

import math
import threading
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.errors import ImageTooLarge, InvalidImage
from rmbg_service.imaging.cutout import Cutout
from rmbg_service.imaging.decode import decode, from_pillow
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.select import select_predictor
from rmbg_service.removal import pipeline
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings, load_settings
from rmbg_service.types import Matte

_ONE_AT_A_TIME = threading.Lock()  # predictors serve one thread

Picture: TypeAlias = bytes | bytearray | str | Path | Image.Image | NDArray[np.uint8]


USED_OPTIONS = frozenset(
    {
        "output", "detail", "decontaminate", "color_profile", "roi", "semitransparency", "on_empty",
        "shadow", "shadow_opacity", "shadow_angle", "shadow_softness",
    }
)  # fmt: skip
"""The options of `RemovalOptions` that make a cutout; the others are about writing its file."""


def remove_background(
    picture: Picture, *, predictor: Predictor | None = None, **options: object
) -> Cutout:
    """Remove the background of one picture.

    `picture` is the bytes or the path of an image file, a Pillow image, or an array of shape
    `(H, W)`, `(H, W, 3)` or `(H, W, 4)`, uint8 sRGB. `options` are those of `RemovalOptions` that
    make a cutout: `detail`, `decontaminate`, `color_profile`, `roi`, `semitransparency`,
    `on_empty`, those of the shadow, and `output`: with `matte` only the alpha counts, and the
    colours are left as they are. `predictor` is a loaded one; by default the model that
    `RMBG_MODEL` names is loaded on the first call and kept.

    Raises `InvalidImage`, `ImageTooLarge` (above `RMBG_MAX_IMAGE_PIXELS`), `InvalidRegion`,
    `NoSubject`, `ConfigurationError`, or `ValueError` for an option, also for one that is about the
    file, such as `format`, `crop` or `output="layers"`.
    """
    settings = load_settings()
    unused = options.keys() & (RemovalOptions.model_fields.keys() - USED_OPTIONS)
    if unused:
        raise ValueError(f"these options need a file to be written: {', '.join(sorted(unused))}")
    wanted = RemovalOptions.model_validate(options)
    if wanted.output == "layers":
        raise ValueError(
            "layers need a file to be written; the cutout has its alpha and its shadow"
        )
    source = pipeline.restrict(_source(picture, settings.max_image_pixels, wanted), wanted)
    with _ONE_AT_A_TIME:
        found = predict(source, predictor or _default_predictor(settings), wanted)
    return pipeline.refine(source, found.matte, wanted, guided=found.guided)


class Prediction(NamedTuple):
    """What the network says of a picture, all passes joined; `guided` as in `DetailPlan`."""

    matte: Matte
    guided: bool


def predict(source: SourceImage, predictor: Predictor, options: RemovalOptions) -> Prediction:
    """The matte of a decoded picture, with the further looks that `options.detail` means for it."""
    size = predictor.input_size
    (matte,) = predictor.predict([pipeline.prepare(source, size)])
    plan = pipeline.plan(source, matte, options, size)
    views = [pipeline.prepare(source, size, view) for view in plan.views]
    seconds = [predictor.predict([view])[0] for view in views]
    return Prediction(pipeline.join(source, matte, plan, seconds), plan.guided)


@lru_cache(maxsize=1)
def _default_predictor(settings: Settings) -> Predictor:
    predictor = select_predictor(settings)
    predictor.load()
    predictor.warm_up()
    return predictor


def _source(picture: Picture, max_pixels: int, options: RemovalOptions) -> SourceImage:
    if isinstance(picture, str | Path):
        picture = Path(picture).read_bytes()
    keep_profile = options.color_profile == "keep"
    if isinstance(picture, bytes | bytearray):
        data = bytes(picture)
        return decode(data, probe(data, max_pixels), keep_profile=keep_profile)
    pixels = math.prod(picture.size if isinstance(picture, Image.Image) else picture.shape[:2])
    if pixels > max_pixels:
        raise ImageTooLarge(f"{pixels} pixels; at most {max_pixels} are accepted")
    if isinstance(picture, Image.Image):
        return from_pillow(picture, keep_profile=keep_profile)
    return _source_of_array(picture)


def _source_of_array(array: NDArray[np.uint8]) -> SourceImage:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        raise InvalidImage(f"need a uint8 array (H, W[, 3 or 4]), got {array.dtype} {array.shape}")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    height, width, channels = array.shape
    if channels not in (3, 4):
        raise InvalidImage(f"need 3 or 4 channels, got {channels}")
    alpha = np.ascontiguousarray(array[..., 3]) if channels == 4 else None
    info = ImageInfo("array", width, height)
    return SourceImage(info, np.ascontiguousarray(array[..., :3]), alpha)
