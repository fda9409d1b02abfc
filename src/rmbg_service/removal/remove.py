"""Background removal from Python, without a server."""

import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from rmbg_service.errors import ImageTooLarge, InvalidImage
from rmbg_service.imaging.cutout import Cutout
from rmbg_service.imaging.decode import decode, from_pillow
from rmbg_service.imaging.probe import probe, require_accepted_size
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.select import select_predictor
from rmbg_service.removal import pipeline
from rmbg_service.removal.attachments import AttachmentName, named, require_shape
from rmbg_service.removal.guidance import Guidance, prediction_of, read_matte, read_strokes
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import predict
from rmbg_service.settings import Settings, load_settings
from rmbg_service.validation import explained

_T = TypeVar("_T")
_ONE_AT_A_TIME = threading.Lock()  # predictors serve one thread at a time

ImageInput: TypeAlias = bytes | bytearray | str | Path | Image.Image | NDArray[np.uint8]
"""The bytes or the path of an image file, a Pillow image, or an array."""

USED_OPTIONS = frozenset(
    {
        "output", "detail", "decontaminate", "color_profile", "roi", "semitransparency", "on_empty",
        "strokes_mode",
        "shadow", "shadow_opacity", "shadow_angle", "shadow_softness",
    }
)  # fmt: skip
"""The options of `RemovalOptions` that shape a cutout; the others are about the file it becomes."""


def remove_background(
    image: ImageInput,
    *,
    predictor: Predictor | None = None,
    matte: ImageInput | None = None,
    strokes: ImageInput | None = None,
    **options: object,
) -> Cutout:
    """Remove the background of one image.

    `image` is the bytes or the path of an image file, a Pillow image, or an array of shape
    `(H, W)`, `(H, W, 3)` or `(H, W, 4)`, uint8 sRGB. `options` are those of `RemovalOptions` that
    shape a cutout: `detail`, `decontaminate`, `color_profile`, `roi`, `semitransparency`,
    `on_empty`, those of the shadow, and `output`: with `matte` only the alpha counts and the
    colours stay as they are. `predictor` is a loaded one; by default the model that
    `RMBG_MODEL` names is loaded on the first call and kept.

    `matte` and `strokes` have the image's proportions, at any size. A `matte` takes the place
    of the model's, which is not loaded then: the transparency of an image that has any, else its
    brightness. `strokes` on a transparent image correct the matte, as `strokes_mode` says: light
    ones keep what lies under them, dark ones erase it.

    Raises `InvalidImage`, `ImageTooLarge` (above `RMBG_MAX_IMAGE_PIXELS` or
    `RMBG_MAX_IMAGE_SIDE`), `InvalidRegion`, `NoSubject`, `NoMattingModel`, `InferenceError`,
    `ConfigurationError`, `OSError` for a path that cannot be read, or `ValueError` for a wrong
    option or for one about the file, such as `format`, `crop` or `output="layers"`.
    """
    settings = load_settings()
    unused = options.keys() & (RemovalOptions.model_fields.keys() - USED_OPTIONS)
    if unused:
        raise ValueError(f"these options need a file to be written: {', '.join(sorted(unused))}")
    try:
        wanted = RemovalOptions.model_validate(options)
    except ValidationError as error:
        raise ValueError(explained(error)) from None
    if wanted.output == "layers":
        raise ValueError(
            "layers need a file to be written; the cutout has its alpha and its shadow"
        )
    if strokes is None and "strokes_mode" in options:
        raise ValueError("strokes_mode needs strokes")
    whole = _source(image, settings, keep_profile=wanted.color_profile == "keep")
    guidance = Guidance(
        _attached("matte", matte, read_matte, whole, settings),
        _attached("strokes", strokes, read_strokes, whole, settings),
    )
    source = pipeline.restrict(whole, wanted)
    del whole
    guidance = guidance.within(source)
    if guidance.matte is not None:
        prediction = prediction_of(guidance.matte, source.rgb.shape[:2], wanted)
    else:
        with _ONE_AT_A_TIME:
            prediction = predict(source, predictor or _default_predictor(settings), wanted)
    return pipeline.cut_out(source, prediction, wanted, guidance.strokes)


@lru_cache(maxsize=1)
def _default_predictor(settings: Settings) -> Predictor:
    predictor = select_predictor(settings)
    predictor.load()
    predictor.warm_up()
    return predictor


def _attached(
    name: AttachmentName,
    image: ImageInput | None,
    read: Callable[[SourceImage, tuple[int, int]], _T],
    source: SourceImage,
    settings: Settings,
) -> _T | None:
    """What `read` makes of an attached image."""
    if image is None:
        return None
    try:
        attached = _source(image, settings, as_values=name == "matte")
        require_shape(name, attached.info, source.info)
        return read(attached, source.rgb.shape[:2])
    except (InvalidImage, ImageTooLarge) as error:
        raise named(name, error) from None


def _source(
    image: ImageInput, settings: Settings, *, keep_profile: bool = False, as_values: bool = False
) -> SourceImage:
    if isinstance(image, str | Path):
        image = Path(image).read_bytes()
    most_pixels, longest_side = settings.max_image_pixels, settings.max_image_side
    if isinstance(image, bytes | bytearray):
        data = bytes(image)
        info = probe(data, most_pixels, longest_side)
        return decode(data, info, keep_profile=keep_profile, as_values=as_values)
    if isinstance(image, Image.Image):
        require_accepted_size(image.size, most_pixels, longest_side)
        return from_pillow(image, keep_profile=keep_profile, as_values=as_values)
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        raise InvalidImage(
            "expected a uint8 array (H, W[, 3 or 4]), got {dtype} {shape}",
            dtype=array.dtype,
            shape=array.shape,
        )
    require_accepted_size(array.shape[1::-1], most_pixels, longest_side)
    return _source_of_array(array)


def _source_of_array(array: NDArray[np.uint8]) -> SourceImage:
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    height, width, channels = array.shape
    if channels not in (3, 4):
        raise InvalidImage("expected 3 or 4 channels, got {channels}", channels=channels)
    alpha = np.ascontiguousarray(array[..., 3]) if channels == 4 else None
    info = ImageInfo("array", width, height)
    return SourceImage(info, np.ascontiguousarray(array[..., :3]), alpha)
