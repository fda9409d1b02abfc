"""Picture in, cutout out: the same steps for the API, the command line and Python."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.errors import NoSubject
from rmbg_service.imaging import compose
from rmbg_service.imaging.box import Box
from rmbg_service.imaging.colour import rgb_to_srgb
from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.imaging.decode import SourceImage, decode, probe
from rmbg_service.imaging.encode import ENCODERS, LAYERS
from rmbg_service.imaging.png import write_grey
from rmbg_service.imaging.resize import shrink
from rmbg_service.matting.choice import DetailPlan, plan_detail, to_full_size
from rmbg_service.matting.crops import blend
from rmbg_service.matting.drop_shadow import drop_shadow
from rmbg_service.matting.foreground import estimate_foreground
from rmbg_service.matting.shadow import keep_shadow
from rmbg_service.models.predictor import Matte, ModelInput
from rmbg_service.options import RemovalOptions

FOUND = 0.5
"""A subject is found when the network's matte reaches this value somewhere."""


@dataclass(frozen=True)
class Encoded:
    """A finished file, and what is known of it.

    `box` is the subject's in the upright input picture, None when nothing was found. `shadow` says
    what became of its shadow, without the layer itself; None when none was asked for.
    """

    data: bytes
    format: str
    media_type: str
    width: int
    height: int
    box: Box | None
    confidence: float
    shadow: Shadow | None = None


def open_image(data: bytes, max_pixels: int, options: RemovalOptions) -> SourceImage:
    """Probe, then decode; see `imaging.decode` for what is refused."""
    info = probe(data, max_pixels)
    return decode(data, info, keep_profile=options.color_profile == "keep")


def prepare(source: SourceImage, input_size: tuple[int, int], box: Box | None = None) -> ModelInput:
    """The network's input `(h, w, 3)` for a decoded picture, or for a box of it."""
    rgb = source.rgb
    if box is not None:
        rgb = rgb[box.top : box.bottom, box.left : box.right]
    small = shrink(rgb, input_size)
    return small if source.icc is None else rgb_to_srgb(small, source.icc)


def plan(
    source: SourceImage, matte: Matte, options: RemovalOptions, input_size: tuple[int, int]
) -> DetailPlan:
    """What `options.detail` means for this picture and its first matte."""
    height, width = source.rgb.shape[:2]
    return plan_detail(options.detail, matte, (height, width), input_size)


def join(source: SourceImage, matte: Matte, plan: DetailPlan, seconds: Sequence[Matte]) -> Matte:
    """The first matte with those of the second pass, one for each box of `plan`."""
    height, width = source.rgb.shape[:2]
    return blend(matte, (height, width), plan.boxes, seconds)


def refine(source: SourceImage, matte: Matte, options: RemovalOptions, *, guided: bool) -> Cutout:
    """The cutout at the picture's own size from the network's matte.

    A matte in which nothing is found becomes an empty cutout, or `NoSubject` where the caller asked
    to be told.
    """
    size = source.rgb.shape[:2]
    if matte.max() < FOUND:
        if options.on_empty == "error":
            raise NoSubject("nothing was found that could be the subject of this picture")
        none = None if options.shadow == "off" else Shadow("keep", reason="no-subject")
        return Cutout(source.rgb, np.zeros(size, np.uint8), source.icc, 0.0, none)
    alpha = to_full_size(source.rgb, matte, guided)
    if source.alpha is not None:  # what was transparent stays so
        alpha = cv2.multiply(alpha, source.alpha, scale=1 / 255).astype(np.uint8, copy=False)
    shadow = _shadow(source, alpha, options)
    rgb = source.rgb
    if options.decontaminate and options.output != "matte":
        rgb = estimate_foreground(rgb, alpha)
    return Cutout(rgb, alpha, source.icc, confidence(matte), shadow)


def _shadow(
    source: SourceImage, alpha: NDArray[np.uint8], options: RemovalOptions
) -> Shadow | None:
    """The shadow that `options` asks for, as strong as it asks for."""
    if options.shadow == "off":
        return None
    shadow = None
    if options.shadow != "drop":
        shadow = _kept_shadow(source, alpha)
    if shadow is None or (options.shadow == "auto" and not shadow.found):
        shadow = drop_shadow(alpha, options.shadow_angle, options.shadow_softness)
    if shadow.alpha is None or options.shadow_opacity == 1:
        return shadow
    scaled = cv2.convertScaleAbs(shadow.alpha, alpha=options.shadow_opacity)
    return replace(shadow, alpha=scaled.astype(np.uint8, copy=False))


def _kept_shadow(source: SourceImage, alpha: NDArray[np.uint8]) -> Shadow:
    if source.alpha is not None and cv2.minMaxLoc(source.alpha)[0] < 255:
        return Shadow("keep", reason="transparent-input")
    return keep_shadow(source.rgb, alpha)


def confidence(matte: Matte) -> float:
    """How decided the network was about what it kept, in [0, 1]: sum(m^2) / sum(m)."""
    total = float(matte.sum(dtype=np.float64))
    return float(np.square(matte, dtype=np.float64).sum()) / total if total > 0 else 0.0


def encode(
    cutout: Cutout, options: RemovalOptions, background: NDArray[np.uint8] | None = None
) -> Encoded:
    """Compose and write the file that `options` asks for."""
    box, found = cutout.box, round(cutout.confidence, 4)
    if options.crop:
        cutout = compose.crop(cutout, compose.parse_margin(options.margin))
    scale = compose.parse_scale(options.scale)
    position = options.position or ("original" if scale is None else "center")
    if scale is not None or position != "original":
        cutout = compose.place(cutout, scale, compose.parse_position(position))
    if options.max_side is not None:
        cutout = compose.limit_side(cutout, options.max_side)
    width, height = cutout.size
    name, encoder = options.format, ENCODERS[options.format]
    if options.output == "layers":
        name, encoder = "zip", LAYERS
        data = encoder.write(cutout, options.quality)
    elif options.output == "matte" and options.format == "png":
        data = write_grey(cutout.alpha)
    else:
        data = encoder.write(_finished(cutout, options, background), options.quality)
    shadow = cutout.shadow and replace(cutout.shadow, alpha=None)
    return Encoded(data, name, encoder.media_type, width, height, box, found, shadow)


def _finished(
    cutout: Cutout, options: RemovalOptions, background: NDArray[np.uint8] | None
) -> Cutout:
    """The cutout on what it shall stand on, or the matte as a picture of its own."""
    if options.output == "matte":
        grey = cv2.merge([cutout.alpha] * 3).astype(np.uint8, copy=False)
        return Cutout(grey, np.full_like(cutout.alpha, 255))
    if background is not None:
        cutout = compose.on_picture(cutout, background)
    elif options.background is not None:
        cutout = compose.on_colour(cutout, compose.parse_colour(options.background))
    if not ENCODERS[options.format].keeps_alpha:
        cutout = compose.on_colour(cutout, compose.WHITE)
    return cutout.with_shadow()
