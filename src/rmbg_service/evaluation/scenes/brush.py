"""Draws a subject part by part: rounded, lit from one side, textured, with a known alpha."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.evaluation.scenes.noise import Colour, Colours, Plane, Points, Size, cloud

Mask = NDArray[np.uint8]
"""`(H, W)` uint8, 0 to 255."""

_OVERSAMPLING = 2
_SHIFT = 4
"""Bits of sub-pixel precision in OpenCV's drawing."""

AMBIENT = 0.45
"""Brightness of what faces away from the light; what faces it gets 1.25."""


class Anchor(NamedTuple):
    """The foot point of a subject and its height, in px."""

    x: float
    y: float
    height: float


class Brush:
    """A transparent canvas on which a subject is drawn.

    Points are given in heights of the subject: x to the right from its middle, y up from its foot.
    `light` in [-1, 1] is the side the light comes from.
    """

    def __init__(self, size: Size, anchor: Anchor, light: float, rng: np.random.Generator) -> None:
        self.size = (size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING)
        self.rgb: Colours = np.zeros((*self.size, 3), np.float32)
        self.alpha: Plane = np.zeros(self.size, np.float32)
        self.anchor = anchor
        self.rng = rng
        direction = np.array([light, -0.7, 0.8], np.float32)
        self._light = direction / np.linalg.norm(direction)

    def result(self) -> tuple[Colours, Plane]:
        """Colours `(H, W, 3)` and alpha `(H, W)` at the image's size, straight."""
        size = (self.size[1] // _OVERSAMPLING, self.size[0] // _OVERSAMPLING)
        premultiplied = self.rgb * self.alpha[..., None]
        small = cv2.resize(premultiplied, size, interpolation=cv2.INTER_AREA)
        alpha = np.clip(cv2.resize(self.alpha, size, interpolation=cv2.INTER_AREA), 0, 1)
        colours = small / np.maximum(alpha, 1e-4)[..., None]
        return np.clip(colours, 0, 1).astype(np.float32), alpha.astype(np.float32)

    def polygon(self, points: Sequence[tuple[float, float]], tint: Colour, **how: float) -> None:
        """A filled polygon."""
        mask = self._mask()
        cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_AA, _SHIFT)
        self._paint(mask, tint, **how)

    def ellipse(
        self, centre: tuple[float, float], axes: tuple[float, float], tint: Colour, **how: float
    ) -> None:
        """A filled ellipse with the half axes `axes`."""
        turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)
        x, y = centre[0] + axes[0] * np.cos(turn), centre[1] + axes[1] * np.sin(turn)
        self.polygon(list(zip(x.tolist(), y.tolist(), strict=True)), tint, **how)

    def line(
        self, points: Sequence[tuple[float, float]], width: float, tint: Colour, **how: float
    ) -> None:
        """A line with round ends, `width` heights thick."""
        thick = max(1, round(width * self.anchor.height * _OVERSAMPLING))
        mask = self._mask()
        cv2.polylines(mask, [self._fixed(points)], False, 255, thick, cv2.LINE_AA, _SHIFT)
        self._paint(mask, tint, **how)

    def cut(self, points: Sequence[tuple[float, float]]) -> None:
        """A hole in the shape of a polygon."""
        mask = self._mask()
        cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_AA, _SHIFT)
        self.alpha *= 1 - mask.astype(np.float32) / 255

    def strands(self, curves: Sequence[Sequence[tuple[float, float]]], tint: Colour) -> None:
        """Hairs half a pixel to a pixel wide, in three shades."""
        for shade in range(3):
            mask = self._mask()
            lines = [self._fixed(curve) for curve in curves[shade::3]]
            cv2.polylines(mask, lines, False, 255, 1, cv2.LINE_AA, _SHIFT)
            bright = tint * np.float32(0.75 + 0.25 * shade)
            self._over(mask * np.float32(0.85 / 255), np.clip(bright, 0, 1)[None, None])

    def _mask(self) -> Mask:
        return np.zeros(self.size, np.uint8)

    def _fixed(self, points: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
        at: Points = np.asarray(points, np.float32) * np.float32(self.anchor.height)
        x, y = self.anchor.x + at[:, 0], self.anchor.y - at[:, 1]
        scale = _OVERSAMPLING * 2**_SHIFT
        return np.asarray(np.rint(np.stack([x, y], axis=1) * scale), np.int32)

    def _paint(
        self,
        mask: Mask,
        tint: Colour,
        *,
        opacity: float = 1.0,
        texture: float = 0.05,
        flat: float = 0.0,
    ) -> None:
        left, top, width, height = cv2.boundingRect(mask)
        if not width:
            return
        part = slice(top, top + height), slice(left, left + width)
        here = mask[part]
        shade = self._shading(here)
        shade = flat + (1 - flat) * shade
        shade = shade * (1 + texture * cloud(self.rng, (height, width), 18, 3))
        layer = np.clip(tint * shade[..., None], 0, 1)
        self._over(here * np.float32(opacity / 255), layer, part)

    def _shading(self, mask: Mask) -> Plane:
        """Lambert's law on the mask blown up like a balloon."""
        padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        inside = cv2.threshold(padded, 127, 255, cv2.THRESH_BINARY)[1]
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        radius = max(float(depth.max()), 1.0)
        height_map = radius * np.sqrt(np.clip(1 - (1 - depth / radius) ** 2, 0, 1))
        height_map = cv2.GaussianBlur(height_map, (0, 0), max(1.0, radius / 12))
        slope_x = cv2.Scharr(height_map, cv2.CV_32F, 1, 0) / 32
        slope_y = cv2.Scharr(height_map, cv2.CV_32F, 0, 1) / 32
        length = np.sqrt(slope_x**2 + slope_y**2 + 1)
        x, y, z = self._light
        lit = np.clip((-slope_x * x - slope_y * y + z) / length, 0, 1)
        return np.asarray(AMBIENT + (1.25 - AMBIENT) * lit, np.float32)

    def _over(
        self, share: Plane, layer: Colours, part: tuple[slice, slice] = (slice(None), slice(None))
    ) -> None:
        below = self.alpha[part]
        total = share + below * (1 - share)
        weight = np.divide(share, total, out=np.zeros_like(total), where=total > 0)[..., None]
        self.rgb[part] += weight * (layer - self.rgb[part])
        self.alpha[part] = total
