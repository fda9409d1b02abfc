"""Whether a network may compute in bfloat16, by what that changes in a matte.

How much rounding moves a matte depends on the weights. So each runtime predicts an image in float32
and in bfloat16 while it loads a model, and compares the mattes. The limits and the reasons are the
same for all of them.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_MEAN = 1 / 510
"""The mean difference may be half a level of an 8-bit alpha."""

MAX_TAIL = 0.05
"""One pixel in a thousand may differ by more: at an edge, a matte goes from 0 to 1 in a few."""


class Difference(NamedTuple):
    """Absolute differences of two mattes: their mean and 99.9th percentile."""

    mean: float
    tail: float

    @classmethod
    def of(cls, exact: NDArray[np.float32], rounded: NDArray[np.float32]) -> "Difference":
        """That of two mattes; NaN if a value is not a number."""
        differences = np.abs(exact.astype(np.float64) - rounded)
        if not np.isfinite(differences).all():
            return cls(math.nan, math.nan)
        return cls(float(differences.mean()), float(np.quantile(differences, 0.999)))

    @property
    def small(self) -> bool:
        """Whether it may be ignored; False for NaN."""
        return self.mean <= MAX_MEAN and self.tail <= MAX_TAIL

    def __str__(self) -> str:
        """As the log and the command line show it."""
        return f"{self.mean:.1e} on average, {self.tail:.1e} at the 99.9th percentile"


class FormatChoice(NamedTuple):
    """A number format by its name in `RMBG_DTYPE`, and why it was chosen."""

    name: str
    reason: str


def choose_format(difference: Difference, time_ratio: float | None = None) -> FormatChoice:
    """What `auto` is on a CPU that computes bfloat16, given how bfloat16 changes a matte.

    `time_ratio` is the time that bfloat16 takes over that of float32, if it was measured.
    """
    if time_ratio is not None and time_ratio >= 1:
        return FormatChoice("fp32", f"auto: bf16 takes {time_ratio:.0%} of fp32's CPU time")
    share = f"{time_ratio:.0%} of fp32's CPU time" if time_ratio is not None else ""
    if not difference.small:
        gain = f"take {share}" if share else "be faster"
        limits = Difference(MAX_MEAN, MAX_TAIL)
        return FormatChoice(
            "fp32",
            f"auto: bf16 would {gain}, but change a matte by {difference}; allowed: {limits}",
        )
    gain = f" in {share}" if share else ""
    return FormatChoice(
        "bf16", f"auto: the CPU computes it{gain}, and it changes a matte by {difference}"
    )
