"""The steps around the network: a file to a `SourceImage`, and its `Prediction` to a `Cutout`.

`passes` says what the network is asked in between, `result` writes the cutout to a file. The
server, the command line, video and Python all use these functions.
"""

from dataclasses import replace

import cv2
import numpy as np
from cv2.typing import MatLike

from rmbg_service.errors import NoSubject
from rmbg_service.imaging import compose
from rmbg_service.imaging.cutout import Cutout, box_of
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.matting.foreground import estimate_foreground
from rmbg_service.matting.smart_strokes import mend
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

COLOUR_REACH = 20
"""Colours change within this part of the longest side around what strokes have changed."""

_OWN_EDGE = 160
"""Part of the longest side that the network's matte is soft at an edge, on either side of it."""


def read(data: bytes, info: ImageInfo, options: RemovalOptions) -> SourceImage:
    """Decode the part of a file that `options` ask for; see `imaging.decode`."""
    return restrict(decode(data, info, keep_profile=options.color_profile == "keep"), options)


def restrict(source: SourceImage, options: RemovalOptions) -> SourceImage:
    """The part of the image inside `options.roi`, as a view; the whole image without one.

    Raises `InvalidRegion` if the region is empty or leaves the image.
    """
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
    """The cutout at the image's own size, corrected by `strokes` of the same shape.

    If nothing was found it is empty, or `NoSubject` is raised if `options.on_empty` asks for that.
    """
    predicted = _predicted_alpha(source, prediction)
    alpha = before = _finished(source, predicted, options)
    found = prediction.found
    if strokes is not None:
        alpha = _finished(source, _corrected(source, predicted, strokes, options), options)
        found = cv2.minMaxLoc(alpha)[1] >= FOUND * 255
    if not found and options.on_empty == "error":
        raise NoSubject("no subject was found in this image")
    if not found:
        shadow = report_without_subject(options)
        return _in_full_image(Cutout(source.rgb, alpha, source.icc, 0.0, shadow), source)
    own = own_shadow(source, alpha, options)
    rgb = clean_colours(source, before, options)
    if strokes is not None and rgb is not source.rgb:
        _clean_again(rgb, source, before, alpha, options)
    cutout = Cutout(rgb, alpha, source.icc, prediction.confidence, own)
    return apply_shadow_options(_in_full_image(cutout, source), options)


def full_size_alpha(source: SourceImage, prediction: Prediction, options: RemovalOptions) -> Alpha:
    """The alpha of the image, `(H, W)` uint8; 0 everywhere if nothing was found.

    What is transparent in the input stays transparent.
    """
    return _finished(source, _predicted_alpha(source, prediction), options)


def _predicted_alpha(source: SourceImage, prediction: Prediction) -> Alpha:
    if not prediction.found:
        return np.zeros(source.rgb.shape[:2], np.uint8)
    if prediction.alpha is not None:
        return prediction.alpha
    return to_full_size(source.rgb, prediction.matte, prediction.refinement)


def _corrected(
    source: SourceImage, alpha: Alpha, strokes: Strokes, options: RemovalOptions
) -> Alpha:
    if options.strokes_mode == "exact":
        return paint(alpha, strokes)
    return mend(source.rgb, alpha, strokes)


def _finished(source: SourceImage, alpha: Alpha, options: RemovalOptions) -> Alpha:
    """`alpha` as the options ask for it, no more opaque than the input."""
    if not options.semitransparency:
        alpha = make_opaque(alpha)
    if source.alpha is not None:
        alpha = cv2.multiply(alpha, source.alpha, scale=1 / 255).astype(np.uint8, copy=False)
    return alpha


def clean_colours(source: SourceImage, alpha: Alpha, options: RemovalOptions) -> RgbImage:
    """The image's colours, with the background unmixed at soft edges if `options` ask for it."""
    if not options.decontaminate or options.output == "matte":
        return source.rgb
    rgb = estimate_foreground(source.rgb, alpha)
    if source.alpha is not None:
        cv2.copyTo(source.rgb, _own_edge(source.alpha), rgb)
    return rgb


def _clean_again(
    rgb: RgbImage, source: SourceImage, before: Alpha, alpha: Alpha, options: RemovalOptions
) -> None:
    """Clean the colours `rgb`, which are those for the alpha `before`, where `alpha` is another.

    Colours beyond the surroundings of that stay as they are, to the last bit.
    """
    changed = box_of(cv2.absdiff(before, alpha).astype(np.uint8, copy=False), 1)
    if changed is None:
        return
    height, width = alpha.shape
    margin = max(height, width) // COLOUR_REACH
    rows = slice(max(0, changed.top - margin), min(height, changed.bottom + margin))
    columns = slice(max(0, changed.left - margin), min(width, changed.right + margin))
    own = None if source.alpha is None else source.alpha[rows, columns]
    part = replace(source, rgb=source.rgb[rows, columns], alpha=own)
    rgb[rows, columns] = clean_colours(part, alpha[rows, columns], options)


def _own_edge(alpha: Alpha) -> MatLike:
    """Where the input's own transparency makes the edge, as the network sees it: a mask.

    Colours there are unmixed already, or were never mixed with the hidden ones beside them.
    """
    # In a narrow image the reach ends at its short side, so that the cost stays linear.
    reach = min(2 * (max(alpha.shape) // _OWN_EDGE) + 3, 2 * min(alpha.shape) + 1)
    return cv2.inRange(cv2.blur(alpha, (reach, reach)), 0, 254)


def _in_full_image(cutout: Cutout, source: SourceImage) -> Cutout:
    """The cutout of a region of interest, pasted back into the image it is from."""
    if source.region is None:
        return cutout
    return compose.paste_back(cutout, source.region, source.info.width, source.info.height)
