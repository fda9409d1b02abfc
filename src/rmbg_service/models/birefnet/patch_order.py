"""How a checkpoint lays the decoder's input patches into channels: no shape reveals it.

The published code changed on 2024-11-05 from `wg_hg_c`, channel = (column * hg + row) * 3 + colour,
to `c_hg_wg`, channel = (colour * hg + row) * wg + column. With the wrong order the mattes are wrong
without any error. The network here always has `c_hg_wg`: weights of the other order are permuted
once, when loaded.

The weights themselves decide wherever they are clear (`patch_evidence.py`): code and catalogue say
which code a checkpoint is published with, and several checkpoints are older than that code. The
repository name in config.json proves nothing about `c_hg_wg`: copies of RMBG-2.0, which has the old
order, carry the name of the repository they were derived from, ZhengPeng7/BiRefNet.
"""

import json
import logging
from pathlib import Path
from typing import get_args

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.birefnet.patch_evidence import (
    GRIDS,
    PatchEvidence,
    conv_key,
    measure_evidence,
)
from rmbg_service.models.catalog import find
from rmbg_service.models.files import weight_files
from rmbg_service.models.predictor import PatchOrderChoice
from rmbg_service.models.spec import ModelSpec
from rmbg_service.settings import PatchOrder

log = logging.getLogger(__name__)

_CATALOGUE = "the catalogue"


def decide(
    folder: Path, repo: str | None, setting: PatchOrder | None, evidence: PatchEvidence
) -> PatchOrderChoice:
    """The order of the weights in `folder`, which come from hub repository `repo` if that is known.

    The setting comes first, then the weights where they are clear, then the catalogue and the files
    beside the weights. Raises `ConfigurationError` when none of them tells, or when catalogue and
    files contradict each other and the weights are not clear.
    """
    row = find(repo) if repo else None
    claims = _claims(folder, row)
    if setting is not None:
        if evidence.order not in (None, setting):
            log.warning(
                "%s: RMBG_PATCH_ORDER=%s is used, but the weights show %s (z = %.1f)",
                folder,
                setting,
                evidence.order,
                evidence.z,
            )
        return PatchOrderChoice(setting, "setting", evidence.z)
    if evidence.order is not None:
        contrary = [f"{order} by {who}" for who, order in claims.items() if order != evidence.order]
        if contrary:
            log.warning(
                "%s: the weights show the patch order %s (z = %.1f) and are followed, against %s:"
                " `rmbg-service doctor` compares both on an image",
                folder,
                evidence.order,
                evidence.z,
                ", ".join(contrary),
            )
        return PatchOrderChoice(evidence.order, "weights", evidence.z)
    choice = _believe(claims, folder, evidence.z)
    if set(claims) == {_CATALOGUE} and row is not None and not row.patch_order_proven:
        log.warning(
            "%s: the patch order %s is that of the code at the date of the weights, which is not"
            " proven: if mattes look wrong, set RMBG_PATCH_ORDER",
            folder,
            choice.order,
        )
    return choice


def to_native(weights: dict[str, Tensor]) -> None:
    """Permute the weights of a `wg_hg_c` checkpoint, in place, to `c_hg_wg`."""
    for block, grid in GRIDS.items():
        key = conv_key(block)
        order = torch.arange(3 * grid * grid).view(grid, grid, 3).permute(2, 1, 0).flatten()
        weights[key] = weights[key][:, order].contiguous()


def inspect(folder: Path, repo: str | None, setting: PatchOrder | None) -> PatchOrderChoice | None:
    """`decide` for one safetensors file, or a folder with one, of which four tensors are read.

    None for other checkpoints. Raises `ConfigurationError` as `decide` does.
    """
    try:
        (path,) = weight_files(folder)
        with safe_open(path, "pt") as file:
            weights = {conv_key(block): file.get_tensor(conv_key(block)) for block in GRIDS}
        evidence = measure_evidence(weights)
    except (ConfigurationError, ValueError, OSError, SafetensorError, RuntimeError):
        return None
    return decide(folder, repo, setting, evidence)


def _believe(claims: dict[str, PatchOrder], folder: Path, z: float) -> PatchOrderChoice:
    orders = set(claims.values())
    if len(orders) == 1:
        return PatchOrderChoice(orders.pop(), "catalogue" if _CATALOGUE in claims else "files", z)
    if claims:
        said = ", ".join(f"{order} by {who}" for who, order in claims.items())
        problem = f"the patch order of {folder} is contradictory ({said})"
    else:
        problem = f"the patch order of {folder} is unknown"
    raise ConfigurationError(
        f"{problem}, and its weights do not show it (z = {z:.1f}): set RMBG_PATCH_ORDER to c_hg_wg"
        " (BiRefNet code since 2024-11-05) or wg_hg_c (older code, RMBG-2.0)"
    )


def _claims(folder: Path, row: ModelSpec | None) -> dict[str, PatchOrder]:
    """Who says what: the catalogue, the code beside the weights, or config.json."""
    claims: dict[str, PatchOrder] = {}
    if row is not None and row.patch_order is not None:
        claims[_CATALOGUE] = row.patch_order
    code = folder / "birefnet.py"
    if code.is_file() and (order := _order_in_code(code.read_text("utf-8", errors="replace"))):
        claims["birefnet.py"] = order
    config = _config(folder)
    if config.get("patch_order") in get_args(PatchOrder):
        claims["config.json"] = config["patch_order"]
    elif str(config.get("_name_or_path")).casefold() == "briaai/rmbg-2.0":
        claims["the name in config.json"] = "wg_hg_c"
    return claims


def _order_in_code(text: str) -> PatchOrder | None:
    """What the published network code does; it is read as text and never run."""
    new, old = "(c hg wg)" in text, "get_patches_batch" in text
    if new == old:
        return None
    return "c_hg_wg" if new else "wg_hg_c"


def _config(folder: Path) -> dict[str, PatchOrder]:
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}
