import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from rmbg_service.errors import ConfigurationError, DeviceFailure, InferenceError, OutOfDeviceMemory
from rmbg_service.models.birefnet.device import choose_device, run_on
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.predictor import BiRefNetPredictor
from rmbg_service.models.predictor import Located, Predictor
from rmbg_service.models.spec import ModelSpec
from rmbg_service.models.trial import Difference
from rmbg_service.types import ModelInput
from tests.models.birefnet.parity import recipe

FIXED = ModelSpec(
    name="test",
    runtime="birefnet",
    source="nowhere",
    licence="MIT",
    licence_url="",
    input_size=(96, 64),
    activation="sigmoid",
)
DYNAMIC = ModelSpec(**{**FIXED.__dict__, "dynamic": True})


def at(spec: ModelSpec, path: Path) -> Callable[[], Located]:
    """Weights that are on this disk."""
    return lambda: Located(spec, path)


@pytest.fixture(scope="module")
def predictor(checkpoint: Path) -> Iterator[BiRefNetPredictor]:
    made = BiRefNetPredictor(DYNAMIC, at(DYNAMIC, checkpoint), device="cpu")
    made.load()
    yield made
    made.close()


def test_a_matte_is_that_of_the_direct_call(predictor: Predictor, tiny: BiRefNet) -> None:
    picture = recipe.image(96, 64)
    [matte] = predictor.predict([picture])
    with torch.inference_mode():
        direct = torch.sigmoid(tiny(recipe.normalise(picture)).logits)[0, 0].numpy()
    assert matte.dtype == np.float32
    assert matte.min() >= 0
    assert matte.max() <= 1
    assert np.abs(matte - direct).max() < 1e-3


def test_every_input_of_a_batch_has_its_matte(predictor: Predictor) -> None:
    pictures = [recipe.image(96, 64), recipe.image(96, 64)[::-1].copy()]
    mattes = predictor.predict(pictures)
    assert len(mattes) == 2
    for picture, matte in zip(pictures, mattes, strict=True):
        assert np.abs(matte - predictor.predict([picture])[0]).max() < 1e-3


@pytest.mark.parametrize("size", [(64, 96), (32, 32), (160, 32)])
def test_a_dynamic_model_takes_multiples_of_32(predictor: Predictor, size: tuple[int, int]) -> None:
    [matte] = predictor.predict([recipe.image(*size)])
    assert matte.shape == size


@pytest.mark.parametrize("size", [(64, 95), (31, 32), (0, 32)])
def test_other_sizes_are_refused(predictor: Predictor, size: tuple[int, int]) -> None:
    with pytest.raises(InferenceError, match="multiples of 32"):
        predictor.predict([np.zeros((*size, 3), np.uint8)])


def test_a_fixed_model_takes_its_own_size_only(checkpoint: Path) -> None:
    predictor = BiRefNetPredictor(FIXED, at(FIXED, checkpoint), device="cpu")
    with pytest.raises(InferenceError, match=r"takes inputs of \(96, 64\), not \(64, 96\)"):
        predictor.predict([np.zeros((64, 96, 3), np.uint8)])


def test_before_load_and_after_close_there_is_no_prediction(checkpoint: Path) -> None:
    predictor = BiRefNetPredictor(FIXED, at(FIXED, checkpoint), device="cpu")
    picture = np.zeros((96, 64, 3), np.uint8)
    with pytest.raises(InferenceError, match="not loaded"):
        predictor.predict([picture])
    predictor.load()
    predictor.warm_up()
    assert (predictor.name, predictor.device, predictor.dtype) == ("test", "cpu", "fp32")
    predictor.close()
    predictor.close()
    with pytest.raises(InferenceError, match="not loaded"):
        predictor.predict([picture])


class Broken(nn.Module):
    """A network that computes a value everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return torch.full((len(x), 1, *x.shape[2:]), self.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_is_an_error(
    predictor: BiRefNetPredictor, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setattr(predictor, "_network", Broken(value))
    with pytest.raises(InferenceError, match="not a number"):
        predictor.predict([np.zeros((96, 64, 3), np.uint8)])


def test_out_of_memory_is_translated_and_holds_no_tensor(
    predictor: BiRefNetPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs: list[weakref.ref[Tensor]] = []

    def exhausted(x: Tensor) -> Tensor:
        inputs.append(weakref.ref(x))
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(predictor, "_network", exhausted)
    with pytest.raises(OutOfDeviceMemory, match="no memory left") as caught:
        predictor.predict([np.zeros((96, 64, 3), np.uint8)])
    assert caught.value.__context__ is None
    gc.collect()
    assert inputs[0]() is None
    with pytest.raises(ConfigurationError, match="test does not fit"):
        predictor.warm_up()


@pytest.mark.parametrize(
    "exhausted",
    [
        lambda x: torch.empty(2**60, dtype=torch.uint8),
        Mock(side_effect=RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB")),
        Mock(side_effect=RuntimeError("CUDA error: out of memory\nCompile with ...")),
        Mock(side_effect=RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ...")),
        Mock(side_effect=RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")),
    ],
)
def test_no_memory_is_not_mistaken_for_a_bad_picture_or_a_lost_device(
    predictor: BiRefNetPredictor, monkeypatch: pytest.MonkeyPatch, exhausted: Any
) -> None:
    monkeypatch.setattr(predictor, "_network", exhausted)
    with pytest.raises(OutOfDeviceMemory, match="cpu has no memory left"):
        predictor.predict([np.zeros((96, 64, 3), np.uint8)])


def test_a_device_that_is_missing_stops_the_start() -> None:
    assert choose_device("cpu").type == "cpu"
    for name in ("cuda:99", "mps:3", "xpu"):
        with pytest.raises(ConfigurationError, match="is not present"):
            choose_device(name)
    with pytest.raises(ConfigurationError, match="is not a device"):
        choose_device("gpu")


def test_the_gpu_that_is_named_becomes_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Located:
        raise ConfigurationError("no weights")

    second = torch.device("cuda:1")
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr("rmbg_service.models.birefnet.device.choose_device", lambda _: second)
    with pytest.raises(ConfigurationError, match="no weights"):
        BiRefNetPredictor(FIXED, missing, device="cuda:1", dtype="fp32").load()
    assert current == [second]
    assert run_on(second, lambda: len(current), (1, 2, 2)) == 2  # in the thread that predicts, too
    run_on(torch.device("cpu"), lambda: None, (1, 2, 2))
    assert current == [second, second]


BUSY = "CUDA error: all CUDA-capable devices are busy or unavailable\nCUDA kernel errors might ..."
TOO_OLD = "CUDA error: no kernel image is available for execution on the device\nCUDA kernel ..."
FULL = "CUDA error: out of memory\nCUDA kernel errors might ..."


def test_a_gpu_that_is_there_and_cannot_be_used_is_one_clear_line(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", Mock(side_effect=RuntimeError(BUSY)))
    predictor = BiRefNetPredictor(FIXED, at(FIXED, checkpoint))
    with pytest.raises(
        ConfigurationError, match=r"RMBG_DEVICE=auto cannot be used: .* busy"
    ) as one:
        predictor.load()
    assert "\n" not in str(one.value)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (TOO_OLD, "test cannot be moved to cpu: CUDA error: no kernel image is available"),
        (FULL, "test does not fit into the memory of cpu"),
    ],
)
def test_a_network_that_a_gpu_does_not_take_is_one_clear_line(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, error: str, says: str
) -> None:
    monkeypatch.setattr(nn.Module, "to", Mock(side_effect=RuntimeError(error)))
    with pytest.raises(ConfigurationError, match=says) as one:
        BiRefNetPredictor(FIXED, at(FIXED, checkpoint), device="cpu", dtype="fp32").load()
    assert "\n" not in str(one.value)


def test_what_a_lost_gpu_held_is_no_concern_at_the_end(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = Mock(side_effect=RuntimeError("CUDA error: an illegal memory access"))
    monkeypatch.setattr(torch.cuda, "empty_cache", empty)
    predictor = BiRefNetPredictor(FIXED, at(FIXED, checkpoint))
    monkeypatch.setattr(predictor, "_device", torch.device("cuda:0"))
    predictor.close()
    assert empty.called


def test_compiling_without_a_compiler_stops_the_start(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    predictor = BiRefNetPredictor(FIXED, at(FIXED, checkpoint), device="cpu", compile=True)
    with pytest.raises(ConfigurationError, match=r"RMBG_COMPILE=true needs a C\+\+ compiler"):
        predictor.load()


def test_device_memory_is_what_the_accelerator_holds(
    predictor: BiRefNetPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predictor.device_memory_bytes == 0
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: {1: 4_800}[device.index])
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 350)
    for name, held in (("cuda:1", 4_800), ("mps", 350)):
        monkeypatch.setattr(predictor, "_device", torch.device(name))
        assert predictor.device_memory_bytes == held


@pytest.mark.parametrize(
    ("difference", "dtype"), [(Difference(1e-3, 0.01), "bf16"), (Difference(0.02, 0.2), "fp32")]
)
def test_auto_takes_the_format_that_the_trial_found_with_these_weights(
    checkpoint: Path,
    predictor: Predictor,
    monkeypatch: pytest.MonkeyPatch,
    difference: Difference,
    dtype: str,
) -> None:
    def converted(network: nn.Module, mean: object, std: object) -> Difference:
        assert {p.dtype for p in network.parameters()} == {torch.float32}
        assert (mean, std) == (DYNAMIC.mean, DYNAMIC.std)
        network.bfloat16()
        return difference

    monkeypatch.setattr("rmbg_service.models.birefnet.torch_predictor.needs_trial", lambda *_: True)
    monkeypatch.setattr("rmbg_service.models.birefnet.torch_predictor.rounding_error", converted)
    automatic = BiRefNetPredictor(DYNAMIC, at(DYNAMIC, checkpoint), device="cpu")
    automatic.load()
    picture = recipe.image(96, 64)
    error = np.abs(automatic.predict([picture])[0] - predictor.predict([picture])[0])
    assert automatic.dtype == dtype
    assert "e-03 on average" in automatic.dtype_reason or dtype == "fp32"
    assert (error.mean() < 1e-6) == (dtype == "fp32")  # the rounded weights were read again


def test_bf16_stays_close_to_fp32(checkpoint: Path, predictor: Predictor) -> None:
    half = BiRefNetPredictor(DYNAMIC, at(DYNAMIC, checkpoint), device="cpu", dtype="bf16")
    half.load()
    picture: ModelInput = recipe.image(96, 64)
    difference = np.abs(half.predict([picture])[0] - predictor.predict([picture])[0])
    assert half.dtype == "bf16"
    assert difference.mean() < 0.02


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_single_file_serves_the_matte_of_the_folder_whatever_its_format(
    checkpoint: Path, predictor: Predictor, tmp_path: Path, dtype: torch.dtype
) -> None:
    path = tmp_path / "birefnet.safetensors"
    weights = recipe.official("swin_v1_t")
    save_file({k: v.to(dtype) if v.is_floating_point() else v for k, v in weights.items()}, path)
    single = BiRefNetPredictor(DYNAMIC, at(DYNAMIC, path), device="cpu", patch_order="c_hg_wg")
    single.load()
    picture: ModelInput = recipe.image(96, 64)
    difference = np.abs(single.predict([picture])[0] - predictor.predict([picture])[0])
    rounding = torch.finfo(dtype).eps
    assert single.dtype == "fp32"
    assert difference.mean() <= 4 * rounding


@pytest.mark.parametrize("platform", ["CUDA", "HIP"])
def test_a_dead_context_is_not_mistaken_for_a_bad_picture(
    predictor: BiRefNetPredictor, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    def dead(x: Tensor) -> Tensor:
        raise RuntimeError(
            f"{platform} error: an illegal memory access was encountered\nCompile with ..."
        )

    monkeypatch.setattr(predictor, "_network", dead)
    with pytest.raises(DeviceFailure, match="illegal memory access") as lost:
        predictor.predict([np.zeros((96, 64, 3), np.uint8)])
    assert "\n" not in str(lost.value)
