"""The seam between the service and a model runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np

from rmbg_service.errors import InferenceError
from rmbg_service.models.spec import ModelSpec
from rmbg_service.settings import PatchOrder
from rmbg_service.types import Matte, ModelInput


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Located(NamedTuple):
    """A model, and the file or folder with its weights."""

    spec: ModelSpec
    path: Path


@dataclass(frozen=True)
class PatchOrderChoice:
    """The order of a BiRefNet's input patches, and what it was chosen by.

    `z` is the evidence in the weights, in standard errors: positive for `c_hg_wg`, negative for
    `wg_hg_c`. See `birefnet/patch_order.py`.
    """

    order: PatchOrder
    source: Literal["setting", "weights", "catalogue", "files"]
    z: float

    def __str__(self) -> str:
        """The choice as the log and the command line show it."""
        return f"{self.order}, by the {self.source} (z = {self.z:+.1f})"


class Predictor(Protocol):
    """A loaded network that turns model inputs into mattes.

    Every method blocks and is called by one thread at a time, in the order `load`, `warm_up`,
    any number of `predict`, `close`. Normalisation belongs to the predictor.
    """

    @property
    def name(self) -> str:
        """The model's name as shown to clients, e.g. `u2netp`; final after `load`."""

    @property
    def licence(self) -> str:
        """SPDX name of the weights' licence, or `unknown`; final after `load`."""

    @property
    def input_size(self) -> tuple[int, int]:
        """`(height, width)` of the inputs that `predict` takes; final after `load`."""

    @property
    def device(self) -> str:
        """Where it runs, e.g. `cpu` or `cuda:0`; final after `load`."""

    @property
    def device_memory_bytes(self) -> int:
        """Memory that the predictor holds on an accelerator.

        0 on the CPU, and if the runtime does not report it.
        """

    def load(self) -> None:
        """Read the weights and move them to the device.

        Raises `ConfigurationError` with one clear line when that cannot work.
        """

    def warm_up(self) -> None:
        """One prediction through the real path at the real input size.

        Called twice: the first call pays the lazy costs, the second one's time is the service's
        first estimate. Raises `ConfigurationError` when the model does not fit.
        """

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        """One matte for each input, at the input's size, values clipped to [0, 1].

        Raises `OutOfDeviceMemory` when the device has no memory left (the caller may try again)
        and `InferenceError` when the result is not a matte (NaN or Inf).
        """

    def close(self) -> None:
        """Free what `load` took. Safe to call twice."""


def require_matte(matte: object, size: tuple[int, int]) -> None:
    """Raise `InferenceError` unless `matte` is an array `size` of float32 in [0, 1]."""
    if not isinstance(matte, np.ndarray):
        raise InferenceError("expected a matte, got {found}", found=type(matte).__name__)
    if matte.shape != size or matte.dtype != np.float32:
        raise InferenceError(
            "expected a matte {size} float32, got {shape} {dtype}",
            size=size,
            shape=matte.shape,
            dtype=matte.dtype,
        )
    low, high = float(matte.min()), float(matte.max())
    if not (low >= 0 and high <= 1):  # also false for NaN
        raise InferenceError(
            "expected a matte in [0, 1], got values from {low:.3g} to {high:.3g}",
            low=low,
            high=high,
        )
