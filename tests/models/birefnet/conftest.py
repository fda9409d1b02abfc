from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from rmbg_service.models.birefnet import torch_predictor
from rmbg_service.models.birefnet.checkpoint import UNUSED, Checkpoint
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.settings import PatchOrder
from tests.models.birefnet.parity import recipe

SPOILT: dict[str, Callable[[Tensor], Tensor]] = {
    "no dimensions": lambda tensor: tensor.new_ones(()),
    "no elements": lambda tensor: tensor[:0],
    "one dimension": lambda tensor: tensor.flatten()[1:],
    "a dimension more": lambda tensor: tensor[None],
    "whole numbers": lambda tensor: tensor.long(),
    "truth values": lambda tensor: tensor.bool(),
    "complex": lambda tensor: tensor.to(torch.complex64),
}
"""What makes a tensor one that no network can have in its place."""


@pytest.fixture(scope="session", autouse=True)
def _no_trial() -> Iterator[None]:
    """`auto` is float32 on every CPU: a trial takes seconds, and only its own tests need it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_predictor, "needs_trial", lambda *_: False)
        yield


def network(backbone: str, patch_order: PatchOrder = "c_hg_wg") -> BiRefNet:
    """A network with the recipe's weights, which it shares with other calls: do not change them."""
    official = recipe.official(backbone)
    weights = {key: value for key, value in official.items() if not UNUSED.match(key)}
    checkpoint = Checkpoint(backbone, weights, Path(backbone))
    return BiRefNet.from_checkpoint(checkpoint, patch_order)


@pytest.fixture(scope="session")
def tiny() -> BiRefNet:
    """The network with the swin_v1_t backbone."""
    return network("swin_v1_t")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as the official ones: safetensors, a bare config, the published code."""
    folder = tmp_path_factory.mktemp("checkpoint")
    save_file(recipe.official("swin_v1_t"), folder / "model.safetensors")
    (folder / "config.json").write_text('{"architectures": ["BiRefNet"], "bb_pretrained": false}')
    (folder / "birefnet.py").write_text("x = rearrange('b c (hg h) (wg w) -> b (c hg wg) h w')")
    return folder
