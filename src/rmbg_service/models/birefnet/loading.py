"""From a folder or a hub repository to a network with exactly those weights, or a clear refusal."""

import re
from pathlib import Path

import torch
from torch import Tensor

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import hub
from rmbg_service.models.birefnet import patch_order as patch_orders
from rmbg_service.models.birefnet.configuration import BACKBONES, BiRefNetConfig
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.patch_evidence import measure_evidence
from rmbg_service.models.birefnet.weights import read_weights
from rmbg_service.models.catalog import find
from rmbg_service.settings import PatchOrder

UNUSED = re.compile(
    r"decoder\.(conv_ms_spvn_|gdt_convs_pred_)\d\.|.*\.relative_position_index$|.*\.attn_mask$"
)
"""In checkpoints, not in this network: heads used in training only, and tables it computes."""

SHOWN_KEYS = 5


def load_birefnet(
    source: str | Path,
    *,
    revision: str | None = None,
    patch_order: PatchOrder | None = None,
    token: str | None = None,
    local_files_only: bool = False,
) -> BiRefNet:
    """The plain network, float32, on the CPU, with the weights of `source`.

    `source` is a folder or a hub id, then with a `revision` (by default the catalogue's). Raises
    `ConfigurationError` with one line for anything that does not fit.
    """
    folder, repo = Path(source), None
    if not folder.is_dir():
        repo = str(source)
        row = find(repo)
        revision = revision or (row.revision if row else "main")
        folder = hub.pull(repo, revision, token=token, local_files_only=local_files_only)
    weights = read_weights(folder)
    model = build(weights, str(source))
    choice = patch_orders.decide(folder, repo, patch_order, measure_evidence(weights))
    if choice.order == "wg_hg_c":
        patch_orders.to_native(weights)
    model.patch_order = choice
    model.load_state_dict(weights, assign=True)
    model.train(False)
    model.requires_grad_(False)
    return model


def build(weights: dict[str, Tensor], source: str) -> BiRefNet:
    """A network of the checkpoint's size, still without memory; `weights` lose what is unused."""
    for key in [key for key in weights if UNUSED.match(key)]:
        del weights[key]
    with torch.device("meta"):
        model = BiRefNet(BiRefNetConfig(backbone=infer_backbone(weights, source)))
    problems = compare(weights, model.state_dict())
    if problems:
        raise ConfigurationError(f"{source} does not fit BiRefNet: {'; '.join(problems)}")
    return model


def infer_backbone(weights: dict[str, Tensor], source: str) -> str:
    """Which backbone these weights belong to, by width and depth."""
    stem = weights.get("bb.patch_embed.proj.weight")
    depth = len({key.split(".")[4] for key in weights if key.startswith("bb.layers.2.blocks.")})
    for name, variant in BACKBONES.items():
        if stem is not None and (variant.dim, variant.depths[2]) == (len(stem), depth):
            return name
    raise ConfigurationError(
        f"{source} is not a BiRefNet with a Swin v1 backbone ({len(weights)} tensors, the first is"
        f" {next(iter(weights), 'missing')})"
    )


def compare(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    """What is missing, unexpected or mis-shaped, one entry each; empty when all fits."""
    shapes = [
        f"{key} {tuple(found[key].shape)} for {tuple(wanted[key].shape)}"
        for key in wanted
        if key in found and found[key].shape != wanted[key].shape
    ]
    lists = {
        "missing": [key for key in wanted if key not in found],
        "unexpected": [key for key in found if key not in wanted],
        "mis-shaped": shapes,
    }
    return [
        f"{len(keys)} {kind} ({', '.join(keys[:SHOWN_KEYS])}{', ...' * (len(keys) > SHOWN_KEYS)})"
        for kind, keys in lists.items()
        if keys
    ]
