"""Measures of a matte against its truth.

Every function takes a prediction and a truth of one shape `(H, W)`, float32 in [0, 1], and returns
one float. Where a ratio has nothing to divide (both empty), the answer is 1, perfect agreement.

Sources: gradient error, Rhemann et al., "A perceptually motivated online benchmark for image
matting", CVPR 2009; boundary F-measure, Perazzi et al., "A benchmark dataset and evaluation
methodology for video object segmentation", CVPR 2016; boundary IoU, Cheng et al., "Boundary IoU:
improving object-centric image segmentation evaluation", CVPR 2021.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.evaluation.edges import Flags, Mask, usable_edge
from rmbg_service.matting.arrays import vector_length
from rmbg_service.types import Matte

BOUNDARY_F_TOLERANCE = 0.008
BOUNDARY_IOU_WIDTH = 0.02
GRADIENT_SIGMA = 1.4
SUBJECT_FREE = 0.02


def iou(prediction: Matte, truth: Matte) -> float:
    """Intersection over union of the two cut at 0.5."""
    p, g = prediction >= 0.5, truth >= 0.5
    return _ratio(int(np.count_nonzero(p & g)), int(np.count_nonzero(p | g)))


def soft_iou(prediction: Matte, truth: Matte) -> float:
    """Sum of the smaller over sum of the larger value of each pixel."""
    return _ratio(
        float(np.minimum(prediction, truth).sum(dtype=np.float64)),
        float(np.maximum(prediction, truth).sum(dtype=np.float64)),
    )


def mae(prediction: Matte, truth: Matte) -> float:
    """Mean absolute error."""
    return float(np.abs(prediction - truth).mean(dtype=np.float64))


def mse(prediction: Matte, truth: Matte) -> float:
    """Mean squared error."""
    return float(np.square(prediction - truth).mean(dtype=np.float64))


def sad(prediction: Matte, truth: Matte) -> float:
    """Sum of absolute differences, in thousands of pixels."""
    return float(np.abs(prediction - truth).sum(dtype=np.float64)) / 1000


def grad(prediction: Matte, truth: Matte) -> float:
    """Sum of squared differences of the gradient magnitudes, in thousands (Rhemann 2009).

    Gradients come from Gaussian derivative filters of sigma 1.4 whose 2-D form has unit L2 norm.
    """
    difference = _gradient_magnitude(prediction) - _gradient_magnitude(truth)
    return float(np.square(difference).sum(dtype=np.float64)) / 1000


def boundary_f(prediction: Matte, truth: Matte, tolerance_px: float | None = None) -> float:
    """F-measure of the two boundaries within a tolerance (Perazzi 2016).

    The tolerance is 0.8% of the diagonal unless it is given in pixels.
    """
    if tolerance_px is None:
        tolerance_px = BOUNDARY_F_TOLERANCE * math.hypot(*truth.shape)
    p, g = _boundary(_cut(prediction)), _boundary(_cut(truth))
    if not p.any() or not g.any():
        return float(p.any() == g.any())
    precision = float((_distance_to(g)[p] <= tolerance_px).mean())
    recall = float((_distance_to(p)[g] <= tolerance_px).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_iou(prediction: Matte, truth: Matte) -> float:
    """IoU of the inner bands, 2% of the diagonal wide, along the two boundaries (Cheng 2021)."""
    width = max(1, round(BOUNDARY_IOU_WIDTH * math.hypot(*truth.shape)))
    p, g = _inner_band(_cut(prediction), width), _inner_band(_cut(truth), width)
    return _ratio(int(np.count_nonzero(p & g)), int(np.count_nonzero(p | g)))


def shadow_leak(prediction: Matte, truth: Matte, shadow: Mask) -> float:
    """Mean of the prediction on the cast shadow (`shadow` > 0) outside the subject."""
    region = (shadow > 0) & (truth < SUBJECT_FREE)
    return float(prediction[region].mean(dtype=np.float64)) if region.any() else math.nan


def measure(
    prediction: Matte,
    truth: Matte,
    *,
    tolerance_px: int = 1,
    edge_level: float = 0.5,
    shadow: Mask | None = None,
) -> dict[str, float]:
    """All measures by their short names; NaN where one does not apply.

    `tolerance_px` and `edge_level` belong to the usable edge accuracy, see `usable_edge`. `shadow`
    is where a shadow is cast (> 0).
    """
    edge = usable_edge(prediction, truth, tolerance_px, edge_level, shadow)
    return {
        "iou": iou(prediction, truth),
        "soft_iou": soft_iou(prediction, truth),
        "mae": mae(prediction, truth),
        "mse": mse(prediction, truth),
        "sad": sad(prediction, truth),
        "grad": grad(prediction, truth),
        "bf": boundary_f(prediction, truth),
        "bf2": boundary_f(prediction, truth, tolerance_px=2),
        "biou": boundary_iou(prediction, truth),
        "uea": edge.uea,
        "uea_hair": edge.uea_hair,
        "uea_solid": edge.uea_solid,
        "uea_shadow": edge.uea_shadow,
        "far_bad_px": edge.far_bad_px,
        "shadow_leak": math.nan if shadow is None else shadow_leak(prediction, truth, shadow),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def _cut(matte: Matte) -> Mask:
    return (matte >= 0.5).astype(np.uint8)


def _gradient_magnitude(matte: Matte) -> Matte:
    half = math.ceil(3 * GRADIENT_SIGMA)
    x = np.arange(-half, half + 1, dtype=np.float64)
    gauss = np.exp(-(x**2) / (2 * GRADIENT_SIGMA**2))
    slope = -x * gauss
    gauss, slope = gauss / np.linalg.norm(gauss), slope / np.linalg.norm(slope)
    dx = cv2.sepFilter2D(matte, cv2.CV_32F, slope, gauss, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.sepFilter2D(matte, cv2.CV_32F, gauss, slope, borderType=cv2.BORDER_REPLICATE)
    return vector_length(np.asarray(dx, np.float32), np.asarray(dy, np.float32))


def _boundary(mask: Mask) -> Flags:
    """Pixels of the mask that touch a pixel outside it; the frame does not count."""
    return np.asarray(mask > cv2.erode(mask, np.ones((3, 3), np.uint8)))


def _distance_to(flags: Flags) -> NDArray[np.float32]:
    free = (~flags).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


def _inner_band(mask: Mask, width: int) -> Flags:
    # The frame counts as background, as in the authors' code.
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return np.asarray((mask > 0) & (depth <= width))
