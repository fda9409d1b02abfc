"""A predictor judged on the reference image of this package.

It catches a model that does not work at all: wrong normalisation or patch order, damaged weights,
an accelerator that computes nonsense. It says nothing about how good a working model is;
`rmbg-service evaluate` does.
"""

from typing import NamedTuple

import numpy as np

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.reference_image import reference_input, reference_matte
from rmbg_service.types import Matte

MIN_IOU = 0.85
"""Below this a model does not work. `u2netp`, the smallest of the catalogue, reaches 0.938."""


class Quality(NamedTuple):
    """Agreement with the known matte: intersection over union, and mean absolute error."""

    iou: float
    mae: float

    @property
    def sufficient(self) -> bool:
        """Whether the model works."""
        return self.iou >= MIN_IOU

    def __str__(self) -> str:
        """Both figures."""
        return f"IoU {self.iou:.3f}, MAE {self.mae:.4f}"


def measure_quality(predictor: Predictor) -> Quality:
    """Predict the reference image once; `predictor` is loaded."""
    (matte,) = predictor.predict([reference_input(predictor.input_size)])
    return quality_of(matte)


def quality_of(matte: Matte) -> Quality:
    """Agreement of a matte of the reference image with the known one."""
    height, width = matte.shape
    truth = reference_matte((height, width))
    found, known = matte >= 0.5, truth >= 0.5
    iou = np.count_nonzero(found & known) / np.count_nonzero(found | known)
    return Quality(float(iou), float(np.abs(matte - truth).mean(dtype=np.float64)))


def require_quality(name: str, quality: Quality) -> None:
    """Raise `ConfigurationError` when the model called `name` does not work."""
    if not quality.sufficient:
        raise ConfigurationError(
            f"{name} does not cut out the reference image: expected an IoU of at least {MIN_IOU},"
            f" got {quality.iou:.3f}: run `rmbg-service doctor`"
        )
