"""EXIF orientation: read without a parser that other tags could upset, applied by its number."""

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

EXIF_ORIENTATION = 0x0112
_MAX_ENTRIES = 1_000
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # of EXIF's types: BYTE, SHORT, LONG


def orientation_of(exif: bytes) -> int:
    """The orientation, 1 to 8, of a TIFF-structured EXIF block; 1 if it has none that is valid."""
    start = 6 if exif[:4] == b"Exif" else 0
    order = {b"II": "<", b"MM": ">"}.get(exif[start : start + 2])
    if order is None:
        return 1
    try:
        ifd = start + struct.unpack_from(order + "I", exif, start + 4)[0]
        (count,) = struct.unpack_from(order + "H", exif, ifd)
        for entry in range(ifd + 2, ifd + 2 + 12 * min(count, _MAX_ENTRIES), 12):
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == EXIF_ORIENTATION and kind in _INTEGERS:
                (value,) = struct.unpack_from(order + _INTEGERS[kind], exif, entry + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """`pixels` `(H, W[, C])` as a viewer shows a file with this `orientation`, 1 to 8."""
    if orientation in (5, 7):
        pixels = np.asarray(cv2.transpose(pixels), np.uint8)
    if orientation in (6, 8):
        turn = cv2.ROTATE_90_CLOCKWISE if orientation == 6 else cv2.ROTATE_90_COUNTERCLOCKWISE
        return np.asarray(cv2.rotate(pixels, turn), np.uint8)
    flip = {2: 1, 3: -1, 4: 0, 7: -1}.get(orientation)
    return pixels if flip is None else np.asarray(cv2.flip(pixels, flip), np.uint8)
