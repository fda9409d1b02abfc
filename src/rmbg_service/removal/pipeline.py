"""Picture in, cutout out: the same steps for the API, the command line and Python."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from rmbg_service.errors import BeyondFormat, NoSubject
from rmbg_service.imaging import compose
from rmbg_service.imaging.colour import rgb_to_srgb
from rmbg_service.imaging.cutout import SHADOW_BOX_THRESHOLD, Cutout, Shadow, box_of
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.encode import ENCODERS, LAYERS
from rmbg_service.imaging.png import write_grey
from rmbg_service.imaging.region import parse_region
from rmbg_service.imaging.resize import shrink, shrink_visible
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.matting import views
from rmbg_service.matting.foreground import estimate_foreground
from rmbg_service.matting.opacity import solidify
from rmbg_service.matting.plan import DetailPlan, plan_detail, to_full_size
from rmbg_service.matting.views import WHOLE, View
from rmbg_service.removal import option_values as texts
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.shadows.cast import keep_shadow
from rmbg_service.shadows.painted import drop_shadow
from rmbg_service.types import Box, Matte, ModelInput

FOUND = 0.5
"""A subject is found when the network's matte reaches this value somewhere."""
_OWN_EDGE = 160
"""Part of the longest side that the network's matte is soft at an edge, on either side of it."""


@dataclass(frozen=True)
class Encoded:
    """A finished file, and what is known of it.

    `box` is the subject's in the upright input picture, None when nothing was found. `full_size` is
    the width and height that `max_side` and `max_pixels` may have limited. `shadow` says what
    became of its shadow, without the layer itself; None when none was asked for.
    """

    data: bytes
    format: str
    media_type: str
    width: int
    height: int
    full_size: tuple[int, int]
    box: Box | None
    confidence: float
    shadow: Shadow | None = None


def read(data: bytes, info: ImageInfo, options: RemovalOptions) -> SourceImage:
    """Decode what `options` ask for; see `imaging.decode`."""
    return restrict(decode(data, info, keep_profile=options.color_profile == "keep"), options)


def restrict(source: SourceImage, options: RemovalOptions) -> SourceImage:
    """The region of interest of a picture. Raises `InvalidRegion`."""
    if options.roi is None:
        return source
    height, width = source.rgb.shape[:2]
    box = parse_region(options.roi).box(width, height)
    return source if box is None else source.cut(box)


def prepare(source: SourceImage, input_size: tuple[int, int], view: View = WHOLE) -> ModelInput:
    """The network's input `(h, w, 3)` for a decoded picture, or for another view of it."""
    part = source if view.box is None else source.cut(view.box)
    if part.alpha is None:
        small = shrink(part.rgb, input_size)
    else:
        small = shrink_visible(part.rgb, part.alpha, input_size)
    if view.mirrored:
        small = np.ascontiguousarray(small[:, ::-1])
    return small if source.icc is None else rgb_to_srgb(small, source.icc)


def plan(
    source: SourceImage, matte: Matte, options: RemovalOptions, input_size: tuple[int, int]
) -> DetailPlan:
    """What `options.detail` means for this picture and its first matte."""
    height, width = source.rgb.shape[:2]
    return plan_detail(options.detail, matte, (height, width), input_size)


def join(source: SourceImage, matte: Matte, plan: DetailPlan, seconds: Sequence[Matte]) -> Matte:
    """The first matte with those of the further views, one for each of `plan`."""
    height, width = source.rgb.shape[:2]
    return views.join(matte, (height, width), plan.views, seconds, plan.box_share)


def refine(source: SourceImage, matte: Matte, options: RemovalOptions, *, guided: bool) -> Cutout:
    """The cutout at the picture's own size from the network's matte.

    A matte in which nothing is found becomes an empty cutout, or `NoSubject` where the caller asked
    to be told.
    """
    if matte.max() < FOUND:
        if options.on_empty == "error":
            raise NoSubject("nothing was found that could be the subject of this picture")
        kind: Literal["keep", "drop"] = "drop" if options.shadow == "drop" else "keep"
        none = None if options.shadow == "off" else Shadow(kind, reason="no-subject")
        empty = np.zeros(source.rgb.shape[:2], np.uint8)
        return _uncut(Cutout(source.rgb, empty, source.icc, 0.0, none), source)
    alpha = to_full_size(source.rgb, matte, guided)
    if not options.semitransparency:
        alpha = solidify(alpha)
    if source.alpha is not None:  # what was transparent stays so
        alpha = cv2.multiply(alpha, source.alpha, scale=1 / 255).astype(np.uint8, copy=False)
    kept = _kept_shadow(source, alpha) if options.shadow in ("keep", "auto") else None
    rgb = source.rgb
    if options.decontaminate and options.output != "matte":
        rgb = estimate_foreground(rgb, alpha)
        if source.alpha is not None:
            cv2.copyTo(source.rgb, _own_edge(source.alpha), rgb)
    cutout = _uncut(Cutout(rgb, alpha, source.icc, confidence(matte), kept), source)
    return cutout if options.shadow == "off" else _with_shadow(cutout, options)


def _uncut(cutout: Cutout, source: SourceImage) -> Cutout:
    if source.region is None:
        return cutout
    return compose.uncut(cutout, source.region, source.info.width, source.info.height)


def _own_edge(alpha: NDArray[np.uint8]) -> MatLike:
    """Where the input's own transparency makes the edge, as the network sees it: a mask.

    Colours there are unmixed already, or have never been mixed with those hidden beside them.
    """
    reach = 2 * (max(alpha.shape) // _OWN_EDGE) + 3
    return cv2.inRange(cv2.blur(alpha, (reach, reach)), 0, 254)


def _kept_shadow(source: SourceImage, alpha: NDArray[np.uint8]) -> Shadow:
    if source.alpha is not None and cv2.minMaxLoc(source.alpha)[0] < 255:
        return Shadow("keep", reason="transparent-input")
    return keep_shadow(source.rgb, alpha)


def _with_shadow(cutout: Cutout, options: RemovalOptions) -> Cutout:
    """The shadow that `options` asks for, as strong as it asks for."""
    shadow = cutout.shadow
    if shadow is None or (options.shadow == "auto" and not shadow.found):
        shadow = drop_shadow(cutout.alpha, options.shadow_angle, options.shadow_softness)
    if shadow.alpha is not None and options.shadow_opacity != 1:
        faint = cv2.convertScaleAbs(shadow.alpha, alpha=options.shadow_opacity)
        scaled: NDArray[np.uint8] = faint.astype(np.uint8, copy=False)
        box = box_of(scaled, SHADOW_BOX_THRESHOLD)
        if box is None:
            return replace(cutout, shadow=Shadow(shadow.kind, reason="too-faint"))
        shadow = replace(shadow, alpha=scaled, box=box)
    return replace(cutout, shadow=shadow)


def confidence(matte: Matte) -> float:
    """How decided the network was about what it kept, in [0, 1]: sum(m^2) / sum(m)."""
    total = float(matte.sum(dtype=np.float64))
    return float(np.square(matte, dtype=np.float64).sum()) / total if total > 0 else 0.0


def reserved_pixels(info: ImageInfo, options: RemovalOptions, max_pixels: int) -> int:
    """What a job takes from the budget: the picture's pixels, or those of a larger result.

    `max_pixels` bounds the result, as in `encode`. A writer that needs more memory counts double,
    and so does a subject that is moved on its canvas.
    """
    pixels = info.pixels
    factor = 1 if options.format == "auto" else ENCODERS[options.format].memory
    if options.scale != "original" or options.position not in (None, "original"):
        factor = 2
    if options.crop:
        margin = texts.parse_margin(options.margin)
        width, height = compose.with_margin(info.width, info.height, margin)
        pixels = max(pixels, min(width * height, max_pixels))
    return pixels * factor


def encode(
    cutout: Cutout,
    options: RemovalOptions,
    max_pixels: int,
    background: NDArray[np.uint8] | None = None,
) -> Encoded:
    """Compose and write the file that `options` asks for, with at most `max_pixels`.

    Raises `BeyondFormat` for a side that the format cannot have.
    """
    box, found = cutout.box, round(cutout.confidence, 4)
    full_size = cutout.size
    if options.crop:
        margin = texts.parse_margin(options.margin)
        most = min(max_pixels, options.max_pixels or max_pixels)
        full_size = compose.fit(*compose.crop_size(cutout, margin), max_pixels)
        cutout = compose.crop(cutout, margin, most)
        full_size = cutout.size if most == max_pixels else full_size
    scale = texts.parse_scale(options.scale)
    position = options.position or ("original" if scale is None else "center")
    if scale is not None or position != "original":
        cutout = compose.place(cutout, scale, texts.parse_position(position))
    if options.max_side is not None:
        cutout = compose.limit_side(cutout, options.max_side)
    if options.max_pixels is not None:
        cutout = compose.limit_pixels(cutout, options.max_pixels)
    width, height = cutout.size
    if options.output == "layers":
        name, encoder = "zip", LAYERS
        data = encoder.write(cutout, options.quality)
    elif options.output == "matte" and options.format in ("png", "auto"):
        name, encoder = "png", ENCODERS["png"]
        data = write_grey(cutout.alpha)
    else:
        finished = _finished(cutout, options, background)
        name = options.format if options.format != "auto" else _fitting_format(finished)
        encoder = ENCODERS[name]
        if max(finished.size) > encoder.max_side:
            raise BeyondFormat(
                f"{name} has at most {encoder.max_side} px a side, the result has {width} x "
                f"{height}: ask for another format, or for a smaller picture"
            )
        data = encoder.write(finished, options.quality)
    shadow = cutout.shadow and replace(cutout.shadow, alpha=None)
    return Encoded(data, name, encoder.media_type, width, height, full_size, box, found, shadow)


def background_of(source: SourceImage) -> NDArray[np.uint8]:
    """The pixels `(h, w, 3)` of a background picture, on white where it is transparent."""
    if source.alpha is None:
        return source.rgb
    return compose.on_colour(Cutout(source.rgb, source.alpha), compose.WHITE).rgb


def _fitting_format(cutout: Cutout) -> str:
    return "jpeg" if cutout.alpha.min() == 255 else "png"


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
        cutout = compose.on_colour(cutout, texts.parse_colour(options.background))
    if options.format != "auto" and not ENCODERS[options.format].keeps_alpha:
        cutout = compose.on_colour(cutout, compose.WHITE)
    return cutout.with_shadow()
