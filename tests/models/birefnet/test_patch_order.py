import itertools
import json
import logging
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.birefnet.checkpoint import read_checkpoint
from rmbg_service.models.birefnet.decoder import tiles
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.patch_evidence import (
    GRIDS,
    STRONG_Z,
    PatchEvidence,
    conv_key,
    measure_evidence,
)
from rmbg_service.models.birefnet.patch_order import decide, inspect, to_native
from rmbg_service.models.birefnet.predictor import BiRefNetPredictor
from rmbg_service.models.predictor import PatchOrderChoice
from rmbg_service.settings import PatchOrder
from tests.models.birefnet.parity import recipe
from tests.models.birefnet.test_predictor import DYNAMIC, at

NEW_CODE = "rearrange(x, 'b c (hg h) (wg w) -> b (c hg wg) h w')"
OLD_CODE = "def get_patches_batch(self, x, p): ..."
NONE = PatchEvidence({5: 0.0})
NEW, OLD = PatchEvidence({5: 9.0}), PatchEvidence({5: -9.0})
SIDE = 64
pytestmark = pytest.mark.timeout(300)
COLOURS = torch.tensor([[1.0, 0.92, 0.82], [0.92, 1.0, 0.92], [0.82, 0.92, 1.0]])


def natural(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images of 1/f noise with correlated colours, `(n, 3, H, W)`, and the mask of a subject."""
    frequency = torch.fft.fftfreq(SIDE)
    radius = (frequency[:, None] ** 2 + frequency**2).sqrt()
    radius[0, 0] = 1 / SIDE

    def noise(channels: int, slope: float) -> Tensor:
        white = torch.randn(count, channels, SIDE, SIDE, generator=random)
        shaped: Tensor = torch.fft.ifft2(torch.fft.fft2(white) / radius**slope).real
        return shaped / shaped.std((2, 3), keepdim=True)

    mixed = torch.linalg.cholesky(COLOURS)
    subject, ground = (torch.einsum("dc,ncij->ndij", mixed, noise(3, 1.0)) for _ in range(2))
    mask = (noise(1, 1.8) > 0).float()
    tint = torch.randn(count, 3, 1, 1, generator=random)
    return torch.where(mask > 0, subject + tint, ground), mask


def lay(image: Tensor, grid: int, order: PatchOrder) -> Tensor:
    """The tiles of an image as the published code of that order lays them into channels."""
    size = SIDE // grid
    if order == "c_hg_wg":
        return tiles(image, size, size)
    patches = [  # as get_patches_batch: column by column, and in each row by row
        patch for column in torch.split(image, size, 3) for patch in torch.split(column, size, 2)
    ]
    return torch.cat(patches, 1)


@cache
def trained(order: PatchOrder) -> dict[str, Tensor]:
    """The weights of the four convolutions after 10 steps of finding the subject."""
    random = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = {
            n: nn.Sequential(
                nn.Conv2d(3 * grid * grid, 64, 3, padding=1),
                nn.Conv2d(64, 24, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(24, 1, 1),
            )
            for n, grid in GRIDS.items()
        }
    parameters = itertools.chain(*(network.parameters() for network in networks.values()))
    optimizer = torch.optim.AdamW(list(parameters), 1e-3)
    for _ in range(10):
        image, mask = natural(8, random)
        loss = torch.zeros(())
        for n, network in networks.items():
            logits = network(lay(image, GRIDS[n], order))
            target = functional.adaptive_avg_pool2d(mask, logits.shape[2:])
            loss = loss + functional.binary_cross_entropy_with_logits(logits, target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return {conv_key(n): networks[n].get_parameter("0.weight").detach() for n in GRIDS}


def from_native(weights: dict[str, Tensor]) -> None:
    """The inverse of `to_native`, in place."""
    for n, grid in GRIDS.items():
        order = torch.arange(3 * grid * grid).view(3, grid, grid).permute(2, 1, 0).flatten()
        weights[conv_key(n)] = weights[conv_key(n)][:, order].contiguous()


@pytest.mark.parametrize("order", ["c_hg_wg", "wg_hg_c"])
def test_trained_weights_show_the_order_they_were_trained_in(order: PatchOrder) -> None:
    evidence = measure_evidence(trained(order))
    assert evidence.order == order
    assert abs(evidence.z) > 2 * STRONG_Z


@pytest.mark.parametrize("order", ["c_hg_wg", "wg_hg_c"])
def test_opponent_colours_do_not_turn_the_evidence_round(order: PatchOrder) -> None:
    weights = {}
    for n, grid in GRIDS.items():
        channel = torch.arange(3 * grid * grid)
        green = (channel // grid**2 if order == "c_hg_wg" else channel % 3) == 1
        sign = torch.where(green, -1.0, 1.0)[:, None, None]
        weights[conv_key(n)] = trained(order)[conv_key(n)] * sign
    assert measure_evidence(weights).order == order


def test_weights_made_native_show_the_native_order() -> None:
    weights = dict(trained("wg_hg_c"))
    to_native(weights)
    assert measure_evidence(weights).order == "c_hg_wg"
    from_native(weights)
    assert all(torch.equal(weights[key], trained("wg_hg_c")[key]) for key in weights)


@pytest.mark.parametrize("seed", range(10))
def test_random_weights_are_weak_evidence(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    weights = {
        conv_key(n): torch.rand((64, 3 * grid * grid, 3, 3), generator=random) - 0.5
        for n, grid in GRIDS.items()
    }
    evidence = measure_evidence(weights)
    assert evidence.order is None
    assert abs(evidence.z) < STRONG_Z / 2


@pytest.mark.parametrize("value", [0.0, 1.0, float("nan")])
def test_weights_without_any_information_are_weak_evidence(value: float) -> None:
    weights = {conv_key(n): torch.full((64, 3 * g * g, 3, 3), value) for n, g in GRIDS.items()}
    assert measure_evidence(weights).order is None


@pytest.mark.parametrize(
    ("blocks", "order"),
    [
        ((4.0, 4.0, 4.0, 0.5), "c_hg_wg"),
        ((-20.0, -9.0, -1.0, 2.0), "wg_hg_c"),
        ((4.0, 4.0, 2.0, 0.5), None),
        ((40.0, 9.0, 1.0, -3.5), None),
    ],
)
def test_weights_decide_if_they_are_clear_and_no_block_contradicts(
    blocks: tuple[float, ...], order: PatchOrder | None
) -> None:
    assert PatchEvidence(dict(zip((5, 4, 3, 2), blocks, strict=True))).order == order


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[PatchOrder, Path]:
    """One function stored in both orders, with nothing beside the weights that tells them apart."""
    weights = dict(recipe.official("swin_v1_t"))
    for key, value in trained("c_hg_wg").items():
        weights[key] = value.clone()
    made: dict[PatchOrder, Path] = {}
    for order in ("c_hg_wg", "wg_hg_c"):
        made[order] = tmp_path_factory.mktemp(order)
        if order == "wg_hg_c":
            from_native(weights)
        save_file(weights, made[order] / "model.safetensors")
    return made


def test_one_function_stored_in_both_orders_gives_one_matte(
    folders: dict[PatchOrder, Path],
) -> None:
    mattes = []
    for order, folder in folders.items():
        predictor = BiRefNetPredictor(DYNAMIC, at(DYNAMIC, folder), device="cpu")
        predictor.load()
        assert predictor.patch_order is not None
        assert (predictor.patch_order.order, predictor.patch_order.source) == (order, "weights")
        mattes.append(predictor.predict([recipe.image(64, 64)])[0])
        predictor.close()
    np.testing.assert_array_equal(mattes[0], mattes[1])
    wrong = BiRefNetPredictor(
        DYNAMIC, at(DYNAMIC, folders["wg_hg_c"]), device="cpu", patch_order="c_hg_wg"
    )
    wrong.load()
    assert np.abs(wrong.predict([recipe.image(64, 64)])[0] - mattes[0]).max() > 1e-3


def test_weights_are_followed_against_code_and_the_log_says_so(
    folders: dict[PatchOrder, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "model.safetensors").symlink_to(folders["wg_hg_c"] / "model.safetensors")
    (tmp_path / "birefnet.py").write_text(NEW_CODE)
    choice = BiRefNet.from_checkpoint(read_checkpoint(tmp_path)).patch_order
    assert choice is not None
    assert (choice.order, choice.source) == ("wg_hg_c", "weights")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "show the patch order wg_hg_c" in record.message
    assert "c_hg_wg by birefnet.py" in record.message
    assert inspect(tmp_path, None, None) == choice


def test_what_cannot_be_inspected_is_unknown(tmp_path: Path) -> None:
    assert inspect(tmp_path, None, None) is None
    for weights in (
        {"a": torch.ones(1)},
        {conv_key(block): torch.ones(64, 3, 3, 3) for block in GRIDS},
        {conv_key(block): torch.ones(0, 3 * grid**2, 3, 3) for block, grid in GRIDS.items()},
        {conv_key(block): torch.ones(2, 3 * grid**2, 0, 0) for block, grid in GRIDS.items()},
        {conv_key(block): torch.ones(2, 3 * grid**2, 1, 1).int() for block, grid in GRIDS.items()},
        {conv_key(block): torch.tensor(1.0) for block in GRIDS},
    ):
        save_file(weights, tmp_path / "model.safetensors")
        assert inspect(tmp_path, None, None) is None


def test_the_setting_is_the_last_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    choice = decide(tmp_path, "briaai/RMBG-2.0", "c_hg_wg", OLD)
    assert choice == PatchOrderChoice("c_hg_wg", "setting", -9.0)
    assert "but the weights show wg_hg_c" in caplog.text
    caplog.clear()
    decide(tmp_path, "briaai/RMBG-2.0", "c_hg_wg", NEW)
    assert not caplog.records


def test_weights_settle_a_contradiction(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "birefnet.py").write_text(NEW_CODE)
    assert decide(tmp_path, "briaai/RMBG-2.0", None, OLD).order == "wg_hg_c"
    assert "against c_hg_wg by birefnet.py" in caplog.text


@pytest.mark.parametrize(
    ("files", "repo", "order", "source"),
    [
        ({"birefnet.py": NEW_CODE}, None, "c_hg_wg", "files"),
        ({"birefnet.py": OLD_CODE}, None, "wg_hg_c", "files"),
        ({"config.json": '{"_name_or_path": "briaai/RMBG-2.0"}'}, None, "wg_hg_c", "files"),
        ({"config.json": '{"patch_order": "c_hg_wg"}'}, None, "c_hg_wg", "files"),
        ({}, "briaai/RMBG-2.0", "wg_hg_c", "catalogue"),
        ({}, "ZhengPeng7/BiRefNet_lite", "wg_hg_c", "catalogue"),
        ({}, "ZhengPeng7/BiRefNet_HR", "c_hg_wg", "catalogue"),
        ({"config.json": "not json", "birefnet.py": NEW_CODE}, None, "c_hg_wg", "files"),
        ({"config.json": "[" * 9**5, "birefnet.py": NEW_CODE}, None, "c_hg_wg", "files"),
    ],
)
def test_weak_weights_leave_it_to_catalogue_and_files(
    tmp_path: Path, files: dict[str, str], repo: str | None, order: PatchOrder, source: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    choice = decide(tmp_path, repo, None, NONE)
    assert (choice.order, choice.source) == (order, source)


def test_an_order_by_date_is_said_not_to_be_proven(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    decide(tmp_path, "briaai/RMBG-2.0", None, NONE)
    assert not caplog.records
    decide(tmp_path, "ZhengPeng7/BiRefNet", None, NONE)
    assert "is not proven" in caplog.text


@pytest.mark.parametrize(
    ("files", "repo", "problem"),
    [
        ({}, None, "unknown"),
        ({}, "someone/finetuned", "unknown"),
        ({"birefnet.py": "pass"}, None, "unknown"),
        ({"birefnet.py": NEW_CODE + OLD_CODE}, None, "unknown"),
        # Copies of RMBG-2.0 carry this name: it must not decide.
        ({"config.json": '{"_name_or_path": "ZhengPeng7/BiRefNet"}'}, None, "unknown"),
        ({"birefnet.py": NEW_CODE}, "briaai/RMBG-2.0", "contradictory"),
    ],
)
def test_an_uncertain_order_is_refused_unless_set(
    tmp_path: Path, files: dict[str, str], repo: str | None, problem: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=problem) as refused:
        decide(tmp_path, repo, None, NONE)
    assert "set RMBG_PATCH_ORDER" in str(refused.value)
    assert decide(tmp_path, repo, "wg_hg_c", NONE).order == "wg_hg_c"


def test_what_this_package_saves_has_the_order_that_its_configuration_says(
    folders: dict[PatchOrder, Path], tmp_path: Path
) -> None:
    BiRefNet.from_pretrained(folders["wg_hg_c"]).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_bytes())["patch_order"] == "c_hg_wg"
    choice = BiRefNet.from_checkpoint(read_checkpoint(tmp_path)).patch_order
    assert choice is not None
    assert (choice.order, choice.source) == ("c_hg_wg", "weights")
