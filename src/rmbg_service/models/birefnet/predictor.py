"""BiRefNet behind the `Predictor` seam: normalisation, compilation, graphs."""

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rmbg_service.errors import ConfigurationError, InferenceError
from rmbg_service.messages import Message
from rmbg_service.models.birefnet.checkpoint import read_checkpoint
from rmbg_service.models.birefnet.cuda import GraphedFunction, use_kernels
from rmbg_service.models.birefnet.device import run_on
from rmbg_service.models.birefnet.fusing import FusedBiRefNet, fuse
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.torch_predictor import TorchPredictor
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


class BiRefNetPredictor(TorchPredictor[FusedBiRefNet]):
    """Runs a BiRefNet; see `TorchPredictor`. Sizes other than `input_size` if `spec.dynamic`."""

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
        super().__init__(spec, locate, device=device, dtype=dtype, cpu_threads=cpu_threads)
        self.patch_order: PatchOrderChoice | None = None
        self._patch_order_setting = patch_order
        self._compile = compile
        self._graphed: GraphedFunction | None = None

    def load(self) -> None:
        """Read the weights, fuse the network and move it to the device."""
        if self._compile:
            check_compiler()
        super().load()
        assert self._network is not None
        if self._device.type == "cuda":
            obstacle = use_kernels(self._network)
            log.info("Triton kernels: %s", f"not used: {obstacle}" if obstacle else "in use")
            self._graphed = GraphedFunction(self._forward, self._device)
        if self._compile:
            self._network.compile_run()
        elif self._device.type == "cpu":
            self._network.pack()
        scale = torch.tensor(self.spec.std) * 255
        self._shift = (torch.tensor(self.spec.mean) * 255).view(3, 1, 1).to(self._device)
        self._scale = scale.view(3, 1, 1).to(self._device)

    def _build(self, path: Path) -> FusedBiRefNet:
        checkpoint = read_checkpoint(path, self.spec.source)
        model = BiRefNet.from_checkpoint(checkpoint, self._patch_order_setting)
        self.patch_order = model.patch_order
        return fuse(model)

    def _summary(self) -> str:
        return f"{super()._summary()}, patch order {self.patch_order}"

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        """One matte for each input, see `Predictor`. All inputs of a batch have one size."""
        pixels = np.stack(batch)
        self._check_size(pixels.shape)
        return list(run_on(self._device, partial(self._infer, pixels), pixels.shape[:3]))

    def close(self) -> None:
        """Drop the network and give its memory back."""
        self._graphed = None
        super().close()

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
