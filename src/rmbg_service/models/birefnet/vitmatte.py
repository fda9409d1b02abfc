"""ViTMatte behind the `Predictor` seam: a matting network, which takes an image and a trimap.

Yao, Wang, Yang and Wang, "ViTMatte: boosting image matting with pretrained plain Vision
Transformers", Information Fusion 103 (2024), arXiv:2305.15272. The network is that of transformers.
Its configuration is read off the weights, so no file beside them is needed or trusted.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import VitDetConfig, VitMatteConfig, VitMatteForImageMatting

from rmbg_service.errors import ConfigurationError, InferenceError
from rmbg_service.models.birefnet.checkpoint import check_keys
from rmbg_service.models.birefnet.device import run_on
from rmbg_service.models.birefnet.torch_predictor import TorchPredictor
from rmbg_service.models.birefnet.weights import read_weights
from rmbg_service.types import Matte, MattingInput

WINDOW = 14
"""Patches a side of the windows of those layers whose attention is not global."""

MULTIPLE_PX = 32
"""Sides of the input are padded to a multiple of this, as the authors' processor does."""

_LAYERS = "backbone.encoder.layer."


class ViTMatte(TorchPredictor[VitMatteForImageMatting]):
    """Runs a ViTMatte; see `TorchPredictor`.

    Inputs are `MattingInput`s of any size up to `input_size`; each is predicted on its own, so that
    memory does not depend on their number.
    """

    channels = 4

    def predict(self, batch: Sequence[MattingInput]) -> list[Matte]:
        """One matte for each input, at its size; see `Predictor`."""
        return [
            run_on(self._device, partial(self._infer, pixels), (1, *pixels.shape[:2]))
            for pixels in batch
        ]

    def _build(self, path: Path) -> VitMatteForImageMatting:
        return read_network(path)

    def _for_trial(self, network: VitMatteForImageMatting) -> nn.Module:
        return _WithTrialTrimap(network)

    @torch.inference_mode()
    def _infer(self, pixels: MattingInput) -> Matte:
        """`(h, w, 4)` uint8 to `(h, w)` float32."""
        if self._network is None:
            raise InferenceError("{model} is not loaded", model=self.name)
        height, width, _ = pixels.shape
        values = torch.from_numpy(pixels).to(self._device).permute(2, 0, 1)[None] / 255
        # The trimap is not normalised.
        mean = values.new_tensor((*self.spec.mean, 0)).view(4, 1, 1)
        std = values.new_tensor((*self.spec.std, 1)).view(4, 1, 1)
        padding = (0, -width % MULTIPLE_PX, 0, -height % MULTIPLE_PX)
        image = functional.pad((values - mean) / std, padding).to(self._precision.dtype)
        alphas = self._network(image).alphas[0, 0, :height, :width].float()
        if not torch.isfinite(alphas).all():
            raise InferenceError("{model} gave a value that is not a number", model=self.name)
        matte: Matte = alphas.cpu().numpy()
        return matte


def read_network(path: Path) -> VitMatteForImageMatting:
    """The network with the weights in `path`, a file or a folder, in float32 on the CPU.

    Raises `ConfigurationError` for weights that are not those of a ViTMatte.
    """
    weights = read_weights(path)
    network = _empty_network(weights)
    if network is None:
        raise ConfigurationError(
            f"{path} is not a ViTMatte ({len(weights)} tensors, the first is"
            f" {next(iter(weights), 'missing')})"
        )
    check_keys(weights, network.state_dict(), path, "ViTMatte")
    network.load_state_dict(weights, assign=True)
    network.train(False)
    network.requires_grad_(False)
    return network


class PatchProjection(nn.Conv2d):
    """A convolution whose patches do not overlap, as the matrix product that it is.

    On CPUs with AMX, oneDNN 3.12 computes this convolution wrongly in bfloat16.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, D, H / P, W / P)`, of patches of P x P."""
        patches = functional.pixel_unshuffle(x, self.kernel_size[0]).permute(0, 2, 3, 1)
        return functional.linear(patches, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def _empty_network(weights: dict[str, Tensor]) -> VitMatteForImageMatting | None:
    """The network that has weights of these shapes, without values; None if there is none."""
    if not all(tensor.numel() for tensor in weights.values()):
        return None
    try:
        with torch.device("meta"):
            network = VitMatteForImageMatting(_configuration(weights))
            embeddings = network.backbone.embeddings
            hidden, channels, patch, _ = embeddings.projection.weight.shape
            embeddings.projection = PatchProjection(channels, hidden, patch, patch)
            return network
    except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError):
        return None  # a tensor is missing or has other dimensions, or the sizes fit no network


def _configuration(weights: dict[str, Tensor]) -> VitMatteConfig:
    """The network's sizes, read off the shapes of its weights. Raises what reading them raises."""
    hidden, channels, patch, _ = weights["backbone.embeddings.projection.weight"].shape
    positions = weights["backbone.embeddings.position_embeddings"].shape[1]
    depth = len({key.split(".")[3] for key in weights if key.startswith(_LAYERS)})
    tables = [weights[f"{_LAYERS}{i}.attention.rel_pos_h"] for i in range(depth)]
    expanded = len(weights[f"{_LAYERS}0.mlp.fc1.weight"])
    if expanded % hidden:
        raise ValueError("the width of the MLP is not a multiple of the network's")
    sides = {(len(table) + 1) // 2 for table in tables} - {WINDOW}
    return VitMatteConfig(
        backbone_config=VitDetConfig(  # type: ignore[call-arg]
            hidden_size=hidden,
            num_hidden_layers=depth,
            num_attention_heads=hidden // tables[0].shape[1],
            mlp_ratio=expanded // hidden,
            image_size=(sides.pop() if sides else WINDOW) * patch,
            pretrain_image_size=round((positions - 1) ** 0.5) * patch,
            patch_size=patch,
            num_channels=channels,
            use_relative_position_embeddings=True,
            window_size=WINDOW,
            window_block_indices=[
                i for i, table in enumerate(tables) if len(table) == 2 * WINDOW - 1
            ],
            residual_block_indices=[
                i for i in range(depth) if f"{_LAYERS}{i}.residual.conv1.weight" in weights
            ],
            out_features=[f"stage{depth}"],
        ),
        hidden_size=hidden,
        convstream_hidden_sizes=_widths(weights, "decoder.convstream.convs.{}.conv.weight"),
        fusion_hidden_sizes=_widths(weights, "decoder.fusion_blocks.{}.conv.conv.weight"),
    )


def _widths(weights: dict[str, Tensor], name: str) -> list[int]:
    """The output channels of the layers that are called so, from the first one on."""
    widths: list[int] = []
    while (key := name.format(len(widths))) in weights:
        widths.append(len(weights[key]))
    return widths


class _WithTrialTrimap(nn.Module):
    """The network as `rounding_error` calls it: of an image, to logits. All of it is unknown."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """`(B, 3, H, W)` to `(B, 1, H, W)`."""
        trimap = torch.full_like(image[:, :1], 128 / 255)
        alphas: Tensor = self.network(torch.cat((image, trimap), 1)).alphas
        return torch.logit(alphas.float(), eps=1e-6)
