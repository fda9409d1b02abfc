"""What all networks in PyTorch share behind the `Predictor` seam: device, number format, errors."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import nn

from rmbg_service.errors import ConfigurationError, OutOfDeviceMemory
from rmbg_service.models.birefnet.device import (
    held_bytes,
    is_out_of_memory,
    open_device,
    release_cache,
)
from rmbg_service.models.birefnet.precision import (
    Precision,
    after_trial,
    choose_precision,
    needs_trial,
)
from rmbg_service.models.birefnet.trial import rounding_error
from rmbg_service.models.files import weight_files
from rmbg_service.models.predictor import Located, first_line
from rmbg_service.models.spec import ModelSpec
from rmbg_service.types import Matte, ModelInput

log = logging.getLogger(__name__)

_Network = TypeVar("_Network", bound=nn.Module)


class TorchPredictor(ABC, Generic[_Network]):
    """Loads the network that `locate` finds, or fetches; see `Predictor`.

    `spec` describes it until `locate` has seen its bytes.
    """

    channels = 3
    """Channels of an input."""

    def __init__(
        self,
        spec: ModelSpec,
        locate: Callable[[], Located],
        *,
        device: str = "auto",
        dtype: str = "auto",
        cpu_threads: int | None = None,
    ) -> None:
        self.spec = spec
        self._locate = locate
        self.files: list[Path] = []
        self.cpu_threads = cpu_threads
        self._device_name = device
        self._dtype_name = dtype
        self._device = torch.device("cpu")
        self._precision = Precision("fp32", "not loaded")
        self._network: _Network | None = None

    @property
    def name(self) -> str:
        """The model's name in the catalogue."""
        return self.spec.name

    @property
    def licence(self) -> str:
        """The licence of the weights."""
        return self.spec.licence

    @property
    def input_size(self) -> tuple[int, int]:
        """`(height, width)` of the inputs; see `ModelSpec` for the other sizes."""
        return self.spec.input_size

    @property
    def device(self) -> str:
        """Where it runs; final after `load`."""
        return str(self._device)

    @property
    def device_memory_bytes(self) -> int:
        """What PyTorch holds on the accelerator, its cache included; 0 on the CPU."""
        return held_bytes(self._device)

    @property
    def dtype(self) -> str:
        """In which number format it computes; final after `load`."""
        return self._precision.name

    @property
    def dtype_reason(self) -> str:
        """Why it computes in that number format; final after `load`."""
        return self._precision.reason

    def load(self) -> None:
        """Read the weights and move the network to the device."""
        if self.cpu_threads is not None:
            torch.set_num_threads(self.cpu_threads)
        self._device = open_device(self._device_name)
        self._precision = choose_precision(self._dtype_name, self._device)
        self.spec, path = self._locate()
        self.files = weight_files(path)
        network = self._read(path)
        log.info("%s", self._summary())
        try:
            self._network = network.to(self._device, self._precision.dtype)
        except RuntimeError as error:
            problem = f"{self.name} cannot be moved to {self.device}: {first_line(error)}"
            if is_out_of_memory(error):
                problem = f"{self.name} does not fit into the memory of {self.device}"
        else:
            return
        raise ConfigurationError(problem)

    def warm_up(self) -> None:
        """Predict noise at the real size: kernels are chosen, memory is taken. See `Predictor`."""
        shape = (*self.input_size, self.channels)
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        try:
            self.predict([noise])
        except OutOfDeviceMemory as error:
            raise ConfigurationError(f"{self.name} does not fit: {error}") from None

    @abstractmethod
    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        """One matte for each input; see `Predictor`."""

    def close(self) -> None:
        """Drop the network and give its memory back."""
        self._network = None
        release_cache(self._device)

    @abstractmethod
    def _build(self, path: Path) -> _Network:
        """The network with the weights in `path`, in float32 on the CPU."""

    def _for_trial(self, network: _Network) -> nn.Module:
        """The network as `rounding_error` calls it: of an image, to logits."""
        return network

    def _summary(self) -> str:
        """What the log says about the loaded network."""
        return f"{self.name} on {self.device}: {self.dtype} ({self.dtype_reason})"

    def _read(self, path: Path) -> _Network:
        """The network on the CPU; `auto` settles its number format with these weights."""
        network = self._build(path)
        if not needs_trial(self._dtype_name, self._device):
            return network
        trial = self._for_trial(network)
        self._precision = after_trial(rounding_error(trial, self.spec.mean, self.spec.std))
        if self._precision.dtype == torch.bfloat16:
            return network
        del network, trial  # its weights are rounded: read them again, but never hold both
        return self._build(path)
