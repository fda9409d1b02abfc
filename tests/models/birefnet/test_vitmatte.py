"""ViTMatte with random weights, small ones: the real code of transformers, no trained network."""

import gc
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import VitDetConfig, VitMatteConfig, VitMatteForImageMatting

from rmbg_service.errors import ConfigurationError, DeviceFailure, InferenceError, OutOfDeviceMemory
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.matting.trimap import TILE_PX, Band
from rmbg_service.models.birefnet import torch_predictor, vitmatte
from rmbg_service.models.birefnet.precision import Precision
from rmbg_service.models.birefnet.trial import rounding_error
from rmbg_service.models.birefnet.vitmatte import ViTMatte, read_network
from rmbg_service.models.catalog import VITMATTE
from rmbg_service.models.predictor import Located
from rmbg_service.models.trial import Difference
from rmbg_service.models.with_matting import PredictorWithMatting
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import predict
from rmbg_service.types import Alpha, Matte, MattingInput, ModelInput, RgbImage
from tests.fakes import FakePredictor
from tests.models.birefnet.conftest import SPOILT


def random_network(*, local: bool = False) -> VitMatteForImageMatting:
    """A network of two layers, one with windows and one global.

    A `local` one has no attention, no residual block and no positions: it reaches 62 px.
    """
    torch.manual_seed(0)
    backbone = VitDetConfig(  # type: ignore[call-arg]
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=512,
        num_channels=4,
        use_relative_position_embeddings=True,
        window_size=14,
        window_block_indices=[0],
        residual_block_indices=[] if local else [1],
        out_features=["stage2"],
    )
    network = VitMatteForImageMatting(
        VitMatteConfig(
            backbone_config=backbone,
            hidden_size=16,
            convstream_hidden_sizes=[4, 4, 4],
            fusion_hidden_sizes=[8, 8, 4, 4],
        )
    )
    with torch.no_grad():
        for name, weights in network.named_parameters():
            if weights.ndim == 4:  # keep the signal's size, so that the output is not all 0.5
                weights.copy_(torch.randn(weights.shape) * (3 / weights[0].numel()) ** 0.5)
            elif "norm.weight" in name or name.endswith("matting_convs.1.weight"):
                weights.fill_(1)
            if local and ("attention.proj" in name or "position_embeddings" in name):
                weights.fill_(0)
    network.train(False)
    return network


def saved(network: VitMatteForImageMatting, folder: Path) -> Path:
    save_file(network.state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(random_network(), tmp_path_factory.mktemp("vitmatte"))


def at(path: Path) -> Callable[[], Located]:
    return lambda: Located(VITMATTE, path)


def loaded(path: Path, dtype: str = "fp32") -> ViTMatte:
    network = ViTMatte(VITMATTE, at(path), device="cpu", dtype=dtype)
    network.load()
    return network


@pytest.fixture(scope="module")
def network(checkpoint: Path) -> ViTMatte:
    return loaded(checkpoint)


def noise(height: int, width: int) -> MattingInput:
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (height, width, 3), np.uint8)
    trimap = random.choice(np.array([0, 128, 255], np.uint8), (height, width))
    return np.dstack((rgb, trimap))


@pytest.mark.parametrize("size", [(64, 96), (70, 45), (1, 1)])
def test_a_matte_is_that_of_the_direct_call(network: ViTMatte, size: tuple[int, int]) -> None:
    """As transformers' own processor feeds it: the trimap is scaled, not normalised; zeros pad."""
    tile = noise(*size)
    image = (torch.from_numpy(tile[..., :3]).permute(2, 0, 1) / 255 - 0.5) / 0.5
    trimap = torch.from_numpy(tile[..., 3])[None] / 255
    padding = (0, -size[1] % 32, 0, -size[0] % 32)
    values = functional.pad(torch.cat((image, trimap))[None], padding)
    with torch.inference_mode():
        direct = random_network()(values).alphas[0, 0, : size[0], : size[1]].numpy()
    [matte] = network.predict([tile])
    assert matte.shape == size
    assert matte.dtype == np.float32
    assert np.abs(matte - direct).max() < 1e-6
    assert size == (1, 1) or matte.std() > 0.01  # else any matte would be right


@pytest.mark.parametrize("local", [False, True])
def test_the_configuration_is_read_off_the_weights(tmp_path: Path, local: bool) -> None:
    made = random_network(local=local)
    found = read_network(saved(made, tmp_path)).config
    for name in ("hidden_size", "convstream_hidden_sizes", "fusion_hidden_sizes"):
        assert list(np.atleast_1d(getattr(found, name))) == list(
            np.atleast_1d(getattr(made.config, name))
        )
    ours, theirs = found.to_dict()["backbone_config"], made.config.to_dict()["backbone_config"]
    assert {key: value for key, value in ours.items() if theirs[key] != value} == {}


class Fixed(FakePredictor):
    """Says what the matte of the whole image is."""

    def __init__(self, matte: Matte) -> None:
        super().__init__()
        self.matte = matte
        self.input_size = (matte.shape[0], matte.shape[1])

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        return [self.matte for _ in batch]


def ring(side: int) -> Matte:
    y, x = np.mgrid[:side, :side] / side - 0.5
    return np.asarray(np.clip((0.3 - np.hypot(y, x)) * 10 + 0.5, 0, 1), np.float32)


def refined(matting: ViTMatte, rgb: RgbImage, matte: Matte) -> tuple[Alpha, Band]:
    """What `detail=matting` makes of an image, and the band in which the network decided."""
    height, width = rgb.shape[:2]
    source = SourceImage(ImageInfo("array", width, height), rgb)
    pair = PredictorWithMatting(Fixed(matte), matting)
    prediction = predict(source, pair, RemovalOptions(detail="matting"))
    assert prediction.alpha is not None
    return prediction.alpha, Band(prediction.matte, (height, width))


def test_tiles_give_what_the_whole_image_gives_if_the_network_reaches_no_farther_than_their_margin(
    tmp_path: Path,
) -> None:
    """Four tiles against one prediction of 700 x 600 px; the last ones are narrower."""
    matting = loaded(saved(random_network(local=True), tmp_path))
    rgb = noise(700, 600)[..., :3]
    alpha, band = refined(matting, rgb, ring(600))
    whole = slice(0, 700), slice(0, 600)
    [untiled] = matting.predict([np.dstack((rgb, band.trimap(whole)))])
    unknown = band.unknown(whole)
    assert len(list(band.tiles())) == 4
    assert untiled[unknown].std() > 0.01
    assert np.abs(alpha[unknown] - untiled[unknown] * 255).max() < 1


def test_with_attention_a_tile_decides_alone_what_only_it_covers(network: ViTMatte) -> None:
    rgb = noise(300, 700)[..., :3]
    alpha, band = refined(network, rgb, ring(600))
    left, right = band.tiles()
    for tile, alone in ((left, np.s_[:, :380]), (right, np.s_[:, 450:])):
        decided = np.zeros((300, 700), np.float32)
        [decided[tile]] = network.predict([np.dstack((rgb[tile], band.trimap(tile)))])
        here = band.unknown((slice(0, 300), slice(0, 700)))[alone]
        assert here.any()
        assert np.abs(alpha[alone][here] - decided[alone][here] * 255).max() < 1


def test_every_tile_is_predicted_on_its_own_and_none_is_larger_than_512(
    network: ViTMatte, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound on the network's memory: it depends on neither the image nor the batch."""
    seen = []

    def ones(x: Tensor) -> SimpleNamespace:
        seen.append(x.shape)
        return SimpleNamespace(alphas=torch.ones(1, 1, *x.shape[2:]))

    monkeypatch.setattr(network, "_network", ones)
    alpha, _ = refined(network, np.zeros((1_100, 1_500, 3), np.uint8), ring(200))
    assert alpha.max() == 255
    assert len(seen) > 4
    assert {shape[0] for shape in seen} == {1}
    assert max(max(shape[2:]) for shape in seen) <= TILE_PX


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_a_number_is_an_error(
    network: ViTMatte, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    def broken(x: Tensor) -> SimpleNamespace:
        return SimpleNamespace(alphas=torch.full((1, 1, *x.shape[2:]), value))

    monkeypatch.setattr(network, "_network", broken)
    with pytest.raises(InferenceError, match="not a number"):
        network.predict([noise(32, 32)])


def test_out_of_memory_is_translated_and_holds_no_tensor(
    network: ViTMatte, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs: list[weakref.ref[Tensor]] = []

    def exhausted(x: Tensor) -> Tensor:
        inputs.append(weakref.ref(x))
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(network, "_network", exhausted)
    with pytest.raises(OutOfDeviceMemory, match=r"no memory left for 1 x \(40, 32\)") as caught:
        network.predict([noise(40, 32)])
    assert caught.value.__context__ is None
    gc.collect()
    assert inputs[0]() is None
    with pytest.raises(ConfigurationError, match=f"{VITMATTE.name} does not fit"):
        network.warm_up()


def test_a_lost_device_is_not_mistaken_for_a_bad_image(
    network: ViTMatte, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(x: Tensor) -> Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with ...")

    monkeypatch.setattr(network, "_network", lost)
    with pytest.raises(DeviceFailure, match="illegal memory access"):
        network.predict([noise(32, 32)])


def test_before_load_and_after_close_there_is_no_prediction(checkpoint: Path) -> None:
    network = ViTMatte(VITMATTE, at(checkpoint), device="cpu", dtype="fp32")
    with pytest.raises(InferenceError, match="not loaded"):
        network.predict([noise(32, 32)])
    network.load()
    network.warm_up()
    assert (network.name, network.device, network.dtype) == (VITMATTE.name, "cpu", "fp32")
    assert (network.licence, network.device_memory_bytes) == ("Apache-2.0", 0)
    network.close()
    network.close()
    with pytest.raises(InferenceError, match="not loaded"):
        network.predict([noise(32, 32)])


def test_a_checkpoint_of_another_network_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    file = tmp_path / "other.safetensors"
    save_file({"bb.patch_embed.proj.weight": torch.zeros(96, 3, 4, 4)}, file)
    with pytest.raises(ConfigurationError, match=r"is not a ViTMatte \(1 tensors, the first is bb"):
        loaded(file)
    lacking = {key: value for key, value in weights.items() if "matting_convs.3" not in key}
    save_file(lacking, file)
    with pytest.raises(ConfigurationError, match="does not fit ViTMatte: 2 missing"):
        loaded(file)
    save_file(weights | {"decoder.convstream.convs.1.conv.weight": torch.zeros(4, 4, 5, 5)}, file)
    with pytest.raises(ConfigurationError, match="1 misshapen"):
        loaded(file)


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize(
    "key",
    [
        "backbone.embeddings.projection.weight",
        "backbone.embeddings.position_embeddings",
        "backbone.encoder.layer.0.attention.rel_pos_h",
        "backbone.encoder.layer.0.mlp.fc1.weight",
        "decoder.convstream.convs.0.conv.weight",
        "decoder.fusion_blocks.0.conv.conv.weight",
    ],
)
def test_a_spoilt_tensor_is_refused(
    checkpoint: Path, tmp_path: Path, key: str, spoil: Callable[[Tensor], Tensor]
) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    weights[key] = spoil(weights[key]).contiguous()
    save_file(weights, tmp_path / "spoilt.safetensors")
    with pytest.raises(ConfigurationError, match="ViTMatte") as refused:
        loaded(tmp_path / "spoilt.safetensors")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_sixteen_bits_stay_close_to_fp32(
    checkpoint: Path, network: ViTMatte, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """fp16 is for GPUs and refused on a CPU; its path computes there all the same."""
    monkeypatch.setattr(torch_predictor, "choose_precision", lambda *_: Precision(dtype, "test"))
    half = loaded(checkpoint)
    difference = np.abs(half.predict([noise(64, 64)])[0] - network.predict([noise(64, 64)])[0])
    assert half.dtype == dtype
    assert 0 < difference.mean() < (0.02 if dtype == "bf16" else 0.002)


def test_fp16_on_a_cpu_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ConfigurationError, match="RMBG_DTYPE=fp16 needs an accelerator"):
        loaded(checkpoint, "fp16")


@pytest.mark.parametrize(
    ("difference", "dtype"), [(Difference(1e-3, 0.01), "bf16"), (Difference(0.02, 0.2), "fp32")]
)
def test_auto_takes_the_format_that_the_trial_found_with_these_weights(
    checkpoint: Path,
    network: ViTMatte,
    monkeypatch: pytest.MonkeyPatch,
    difference: Difference,
    dtype: str,
) -> None:
    monkeypatch.setattr(torch_predictor, "needs_trial", lambda *_: True)
    monkeypatch.setattr(
        torch_predictor, "rounding_error", lambda net, *_: net.bfloat16() and difference
    )
    automatic = loaded(checkpoint, "auto")
    error = np.abs(automatic.predict([noise(64, 64)])[0] - network.predict([noise(64, 64)])[0])
    assert automatic.dtype == dtype
    assert (error.mean() < 1e-6) == (dtype == "fp32")  # the rounded weights were read again


def test_the_trial_runs_the_network_on_an_unknown_image(checkpoint: Path) -> None:
    trial = vitmatte._WithTrialTrimap(read_network(checkpoint))
    difference = rounding_error(trial, VITMATTE.mean, VITMATTE.std)
    assert 0 < difference.mean < 0.02


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@torch.inference_mode()
def test_patches_are_projected_as_by_a_convolution(dtype: torch.dtype) -> None:
    """In the size of ViTMatte-S: this is what oneDNN 3.12 computes wrongly with AMX in bfloat16."""
    conv = nn.Conv2d(4, 384, 16, stride=16)
    projection = vitmatte.PatchProjection(4, 384, 16, 16)
    projection.load_state_dict(conv.state_dict(), assign=True)
    x = torch.randn(2, 4, 64, 96).to(dtype)
    expected = conv.to(dtype).double()(x.double())
    found = projection.to(dtype)(x).double()
    assert (found - expected).abs().max() < (1e-6 if dtype == torch.float64 else 0.02)
