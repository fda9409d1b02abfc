"""An opaque subject: partly transparent areas inside it, such as glass, become opaque."""

import cv2
import numpy as np
from numpy.typing import NDArray

_PRESENT = 38
"""Alpha, of 255, from which on a pixel is part of the subject: 15%."""
_RIM = 0.004
"""Width of the rim that keeps its softness, as a part of the picture's diagonal."""


def make_opaque(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Alpha `(H, W)` uint8 that is opaque inside the subject and as soft as before at its rim.

    The inside is what lies deeper than the rim in the area in which alpha reaches 15%; over one
    more width of the rim, alpha rises to opaque. Fine hair is thinner than the rim and stays as it
    is.
    """
    present = cv2.threshold(alpha, _PRESENT - 1, 255, cv2.THRESH_BINARY)[1]
    depth = cv2.distanceTransform(present, cv2.DIST_L2, 5)
    rim = max(1.0, _RIM * float(np.hypot(*alpha.shape)))
    np.clip(depth, rim, 2.0 * rim, out=depth)
    np.subtract(depth, rim, out=depth)
    np.multiply(depth, 255.0 / rim, out=depth)
    return np.maximum(alpha, depth.astype(np.uint8))
