"""The steps around the network: a file to a `SourceImage`, and its `Prediction` to a `Cutout`.

`passes` says what the network is asked in between, `result` writes the cutout to a file. The
server, the command line, video and Python all use these functions.
"""

import cv2
import numpy as np
from cv2.typing import MatLike

from rmbg_service.errors import NoSubject
from rmbg_service.imaging import compose
from rmbg_service.imaging.cutout import Cutout
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.matting.foreground import estimate_foreground
from rmbg_service.matting.strokes import Strokes, paint
from rmbg_service.matting.upsampling import make_opaque, to_full_size
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import FOUND, Prediction
from rmbg_service.removal.shadow import (
    apply_shadow_options,
    own_shadow,
    report_without_subject,
)
from rmbg_service.types import Alpha, RgbImage

_OWN_EDGE = 160
"""Part of the longest side that the network's matte is soft at an edge, on either side of it."""


def read(data: bytes, info: ImageInfo, options: RemovalOptions) -> SourceImage:
    """Decode the part of a file that `options` ask for; see `imaging.decode`."""
    return restrict(decode(data, info, keep_profile=options.color_profile == "keep"), options)


def restrict(source: SourceImage, options: RemovalOptions) -> SourceImage:
    """The region of interest of a picture. Raises `InvalidRegion`."""
    if options.roi is None:
        return source
    height, width = source.rgb.shape[:2]
    box = options.roi.value.box(width, height)
    return source if box is None else source.cut(box)


def cut_out(
    source: SourceImage,
    prediction: Prediction,
    options: RemovalOptions,
    strokes: Strokes | None = None,
) -> Cutout:
    """The cutout at the picture's own size, corrected by `strokes` of the same shape.

    If nothing was found it is empty, or `NoSubject` is raised if `options.on_empty` asks for that.
    """
    alpha = full_size_alpha(source, prediction, options, strokes)
    found = prediction.found if strokes is None else bool(alpha.max() >= FOUND * 255)
    if not found and options.on_empty == "error":
        raise NoSubject("no subject was found in this image")
    if not found:
        shadow = report_without_subject(options)
        return _in_full_picture(Cutout(source.rgb, alpha, source.icc, 0.0, shadow), source)
    own = own_shadow(source, alpha, options)
    rgb = clean_colours(source, alpha, options)
    cutout = Cutout(rgb, alpha, source.icc, prediction.confidence, own)
    return apply_shadow_options(_in_full_picture(cutout, source), options)


def full_size_alpha(
    source: SourceImage,
    prediction: Prediction,
    options: RemovalOptions,
    strokes: Strokes | None = None,
) -> Alpha:
    """The alpha of the picture, 0 everywhere if nothing was found and no stroke keeps anything.

    What is transparent in the input stays transparent.
    """
    height, width = source.rgb.shape[:2]
    if prediction.found:
        alpha = prediction.alpha
        if alpha is None:
            alpha = to_full_size(source.rgb, prediction.matte, prediction.refinement)
    else:
        alpha = np.zeros((height, width), np.uint8)
    if strokes is not None:
        alpha = paint(alpha, strokes)
    if not options.semitransparency:
        alpha = make_opaque(alpha)
    if source.alpha is not None:
        alpha = cv2.multiply(alpha, source.alpha, scale=1 / 255).astype(np.uint8, copy=False)
    return alpha


def clean_colours(source: SourceImage, alpha: Alpha, options: RemovalOptions) -> RgbImage:
    """The picture's colours, with the background unmixed at soft edges if `options` ask for it."""
    if not options.decontaminate or options.output == "matte":
        return source.rgb
    rgb = estimate_foreground(source.rgb, alpha)
    if source.alpha is not None:
        cv2.copyTo(source.rgb, _own_edge(source.alpha), rgb)
    return rgb


def _own_edge(alpha: Alpha) -> MatLike:
    """Where the input's own transparency makes the edge, as the network sees it: a mask.

    Colours there are unmixed already, or were never mixed with the hidden ones beside them.
    """
    # In a narrow picture the reach ends at its short side, so that the cost stays linear.
    reach = min(2 * (max(alpha.shape) // _OWN_EDGE) + 3, 2 * min(alpha.shape) + 1)
    return cv2.inRange(cv2.blur(alpha, (reach, reach)), 0, 254)


def _in_full_picture(cutout: Cutout, source: SourceImage) -> Cutout:
    """The cutout of a region of interest, pasted back into the picture it is from."""
    if source.region is None:
        return cutout
    return compose.paste_back(cutout, source.region, source.info.width, source.info.height)
