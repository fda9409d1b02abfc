"""An image turned upright, by the number that EXIF has for its orientation."""

import cv2
import numpy as np
from numpy.typing import NDArray


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """`pixels` `(H, W[, C])` as a viewer shows a file with this `orientation`, 1 to 8."""
    if orientation in (5, 7):
        pixels = np.asarray(cv2.transpose(pixels), np.uint8)
    if orientation in (6, 8):
        turn = cv2.ROTATE_90_CLOCKWISE if orientation == 6 else cv2.ROTATE_90_COUNTERCLOCKWISE
        return np.asarray(cv2.rotate(pixels, turn), np.uint8)
    flip = {2: 1, 3: -1, 4: 0, 7: -1}.get(orientation)
    return pixels if flip is None else np.asarray(cv2.flip(pixels, flip), np.uint8)
