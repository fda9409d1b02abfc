"""The shadow of a cutout, as the options ask for it: its own, or a painted one."""

from dataclasses import replace

import cv2
import numpy as np

from rmbg_service.imaging.compose import draw_shadow
from rmbg_service.imaging.cutout import SHADOW_BOX_THRESHOLD, Cutout, Shadow, box_of
from rmbg_service.imaging.layout import Layout
from rmbg_service.imaging.source import SourceImage
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.shadows.cast import keep_shadow
from rmbg_service.shadows.painted import drop_shadow
from rmbg_service.types import Alpha


def report_without_subject(options: RemovalOptions) -> Shadow | None:
    """The report of an empty cutout; None if no shadow was asked for."""
    if options.shadow == "off":
        return None
    return Shadow("drop" if options.shadow == "drop" else "keep", reason="no-subject")


def own_shadow(source: SourceImage, alpha: Alpha, options: RemovalOptions) -> Shadow | None:
    """The shadow that the subject `alpha` casts in the image; None if it is not asked for."""
    if options.shadow not in ("keep", "auto"):
        return None
    if source.alpha is not None and cv2.minMaxLoc(source.alpha)[0] < 255:
        return Shadow("keep", reason="transparent-input")
    return keep_shadow(source.rgb, alpha)


def apply_shadow_options(cutout: Cutout, options: RemovalOptions) -> Cutout:
    """The cutout with the shadow, its own or a painted one, at the opacity asked for.

    A painted shadow is drawn if the cutout keeps its place; otherwise with its canvas.
    """
    if options.shadow == "off":
        return cutout
    shadow = cutout.shadow
    if shadow is None or (options.shadow == "auto" and not shadow.found):
        shadow = drop_shadow(cutout.alpha, options.shadow_angle, options.shadow_softness)
    cutout = replace(cutout, shadow=_at_opacity(shadow, options.shadow_opacity))
    if options.crop or options.placed:
        return cutout
    return draw_shadow(cutout, Layout(*cutout.size))


def _at_opacity(shadow: Shadow, opacity: float) -> Shadow:
    """The shadow with its alpha times `opacity`."""
    layer = shadow.alpha if shadow.painted is None else shadow.painted.alpha
    if layer is None or opacity == 1:
        return shadow
    faint = cv2.convertScaleAbs(layer, alpha=opacity).astype(np.uint8, copy=False)
    if shadow.painted is None:
        box = box_of(faint, SHADOW_BOX_THRESHOLD)
        changed = replace(shadow, alpha=faint, box=box)
    else:
        painted = replace(shadow.painted, alpha=faint)
        changed = replace(shadow, painted=painted, box=painted.box)
    return changed if changed.box else Shadow(shadow.kind, reason="too-faint")
