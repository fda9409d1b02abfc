"""BiRefNet behind the `Predictor` seam: device, dtype, normalisation, errors."""

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rmbg_service.errors import ConfigurationError, InferenceError, OutOfDeviceMemory
from rmbg_service.messages import Message
from rmbg_service.models.birefnet.checkpoint import read_checkpoint
from rmbg_service.models.birefnet.cuda import GraphedFunction, use_kernels
from rmbg_service.models.birefnet.device import choose_device, held_bytes, run_on
from rmbg_service.models.birefnet.fusing import FusedBiRefNet, fuse
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.precision import (
    Precision,
    after_trial,
    choose_precision,
    needs_trial,
)
from rmbg_service.models.birefnet.trial import rounding_error
from rmbg_service.models.files import weight_files
from rmbg_service.models.predictor import Located, PatchOrderChoice
from rmbg_service.models.spec import ModelSpec
from rmbg_service.settings import PatchOrder
from rmbg_service.types import Matte, ModelInput

log = logging.getLogger(__name__)


def check_compiler() -> None:
    """Refuse at once what `torch.compile` would refuse minutes later: it needs a C++ compiler."""
    names = [os.environ.get("CXX", ""), "g++", "clang++", "cl"]
    if not any(shutil.which(name) for name in names if name):
        raise ConfigurationError(
            "RMBG_COMPILE=true needs a C++ compiler, but none was found: install g++ or unset it"
        )


class BiRefNetPredictor:
    """Runs the BiRefNet that `locate` finds, or fetches; see `Predictor`.

    `spec` describes it until `locate` has seen its bytes.
    """

    def __init__(
        self,
        spec: ModelSpec,
        locate: Callable[[], Located],
        *,
        device: str = "auto",
        dtype: str = "auto",
        compile: bool = False,  # noqa: A002
        patch_order: PatchOrder | None = None,
        cpu_threads: int | None = None,
    ) -> None:
        self.spec = spec
        self._locate = locate
        self.files: list[Path] = []
        self.patch_order: PatchOrderChoice | None = None
        self._patch_order_setting = patch_order
        self.cpu_threads = cpu_threads
        self._compile = compile
        self._device_name = device
        self._dtype_name = dtype
        self._device = torch.device("cpu")
        self._precision = Precision("fp32", "not loaded")
        self._network: FusedBiRefNet | None = None
        self._graphed: GraphedFunction | None = None

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
        """`(height, width)` of the inputs; other sizes are taken where `spec.dynamic`."""
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
        """Read the weights, fuse the network and move it to the device."""
        if self.cpu_threads is not None:
            torch.set_num_threads(self.cpu_threads)
        self._device = choose_device(self._device_name)
        self._precision = choose_precision(self._dtype_name, self._device)
        if self._compile:
            check_compiler()
        self.spec, path = self._locate()
        self.files = weight_files(path)
        network = self._read(path)
        log.info(
            "%s on %s: %s (%s), patch order %s",
            self.name,
            self.device,
            self.dtype,
            self.dtype_reason,
            self.patch_order,
        )
        try:
            self._network = network.to(self._device, self._precision.dtype)
        except torch.OutOfMemoryError:
            problem = f"{self.name} does not fit into the memory of {self.device}"
        else:
            if self._device.type == "cuda":
                obstacle = use_kernels(network)
                log.info("Triton kernels: %s", f"not used: {obstacle}" if obstacle else "in use")
                self._graphed = GraphedFunction(self._forward, self._device)
            if self._compile:
                network.compile_run()
            elif self._device.type == "cpu":
                network.pack()
            scale = torch.tensor(self.spec.std) * 255
            self._shift = (torch.tensor(self.spec.mean) * 255).view(3, 1, 1).to(self._device)
            self._scale = scale.view(3, 1, 1).to(self._device)
            return
        raise ConfigurationError(problem)

    def _read(self, path: Path) -> FusedBiRefNet:
        """The fused network on the CPU; `auto` settles its number format with these weights."""
        network = self._fused(path)
        if not needs_trial(self._dtype_name, self._device):
            return network
        self._precision = after_trial(rounding_error(network, self.spec.mean, self.spec.std))
        if self._precision.dtype == torch.bfloat16:
            return network
        del network  # its weights are rounded: read them again, but never hold both
        return self._fused(path)

    def _fused(self, path: Path) -> FusedBiRefNet:
        checkpoint = read_checkpoint(path, self.spec.source)
        model = BiRefNet.from_checkpoint(checkpoint, self._patch_order_setting)
        self.patch_order = model.patch_order
        return fuse(model)

    def warm_up(self) -> None:
        """Predict noise at the real size: kernels are chosen, memory is taken. See `Predictor`."""
        h, w = self.input_size
        noise = np.random.default_rng(0).integers(0, 256, (h, w, 3), np.uint8)
        try:
            self.predict([noise])
        except OutOfDeviceMemory as error:
            raise ConfigurationError(f"{self.name} does not fit: {error}") from None

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        """One matte for each input, see `Predictor`. All inputs of a batch have one size."""
        pixels = np.stack(batch)
        self._check_size(pixels.shape)
        return list(run_on(self._device, partial(self._infer, pixels), pixels.shape[:3]))

    def close(self) -> None:
        """Drop the network and give its memory back."""
        self._network = self._graphed = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _check_size(self, shape: tuple[int, ...]) -> None:
        size = shape[1:3]
        fits = all(side and side % 32 == 0 for side in size) if self.spec.dynamic else False
        if size != self.input_size and not fits:
            want = Message("multiples of 32") if self.spec.dynamic else self.input_size
            raise InferenceError(
                "{model} takes inputs of {want}, not {size}", model=self.name, want=want, size=size
            )

    @torch.inference_mode()
    def _infer(self, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Matte:
        """`(B, H, W, 3)` uint8 to `(B, H, W)` float32."""
        if self._network is None:
            raise InferenceError("{model} is not loaded", model=self.name)
        # A graph belongs to one size: those of a dynamic model would fill the device's memory.
        if self._graphed is not None and pixels.shape[1:3] == self.input_size:
            matte, finite = self._graphed(pixels)
            matte = matte.clone()
        else:
            matte, finite = self._forward(torch.from_numpy(pixels).to(self._device))
        if not finite:
            raise InferenceError("{model} gave a value that is not a number", model=self.name)
        result: Matte = matte.cpu().numpy()
        return result

    def _forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """On the device: `(B, H, W, 3)` uint8 to `(B, H, W)` float32, and whether all is finite."""
        assert self._network is not None
        image = (pixels.permute(0, 3, 1, 2) - self._shift) / self._scale
        logits = self._network(image.to(self._precision.dtype))[:, 0].float()
        return torch.sigmoid(logits), torch.isfinite(logits).all()
