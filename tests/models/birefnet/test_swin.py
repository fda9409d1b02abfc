import pytest
import torch

from rmbg_service.models.birefnet import fused_swin
from rmbg_service.models.birefnet.configuration import BACKBONES, SwinVariant
from rmbg_service.models.birefnet.fused_swin import FusedSwin, window_plan
from rmbg_service.models.birefnet.fusing import fuse
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.swin import (
    SwinTransformer,
    partition,
    relative_position_index,
    unpartition,
)


@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize(("h", "w"), [(14, 21), (8, 15), (4, 4), (7, 1)])
def test_a_plan_places_every_token_once(h: int, w: int, shift: int) -> None:
    [chunk] = window_plan(h, w, 7, shift, torch.device("cpu"))
    assert chunk.tokens is None
    assert chunk.gather is not None
    assert chunk.scatter is not None
    assert chunk.gather[chunk.scatter].tolist() == list(range(h * w))
    assert sum(chunk.groups) * 49 == len(chunk.gather)
    assert (chunk.gather == h * w).sum() == len(chunk.gather) - h * w


@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize(("h", "w"), [(14, 21), (8, 15), (4, 4), (7, 1)])
def test_chunks_have_every_token_once_where_the_whole_plan_has_it(
    h: int, w: int, shift: int
) -> None:
    [whole] = window_plan(h, w, 7, shift, torch.device("cpu"))
    chunks = window_plan(h, w, 7, shift, torch.device("cpu"), chunk_tokens=2 * 49)
    assert whole.gather is not None
    found = []
    for chunk in chunks:
        assert chunk.tokens is not None
        assert sum(chunk.groups) <= 2
        padded = torch.cat((chunk.tokens, torch.tensor([h * w])))
        places = chunk.tokens if chunk.gather is None else padded[chunk.gather]
        if chunk.scatter is not None:
            assert torch.equal(places[chunk.scatter], chunk.tokens)
        found.append(places)
    assert torch.equal(torch.cat(found), whole.gather)
    assert [sum(n) for n in zip(*(c.groups for c in chunks), strict=True)] == whole.groups


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_thread_gets_as_many_chunks(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    chunks = window_plan(70, 70, 7, 3, torch.device("cpu"), chunk_tokens=16 * 49)  # 100 windows
    sizes = [sum(chunk.groups) for chunk in chunks]
    assert len(sizes) == {1: 7, 2: 8, 3: 9}[threads]
    assert max(sizes) - min(sizes) <= 1
    assert len(window_plan(7, 14, 7, 0, torch.device("cpu"), 16 * 49)) == min(threads, 2)


def test_windows_come_apart_and_together() -> None:
    x = torch.arange(2 * 6 * 9 * 2.0).view(2, 6, 9, 2)
    windows = partition(x, 3)
    assert windows.shape == (12, 9, 2)
    assert torch.equal(windows[1].view(3, 3, 2), x[0, :3, 3:6])
    assert torch.equal(unpartition(windows, 3, 6, 9), x)


@pytest.mark.parametrize("chunk_tokens", [None, 200])
@pytest.mark.parametrize("size", [(64, 64), (96, 160), (32, 224)])
def test_the_fused_backbone_is_the_plain_one(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], chunk_tokens: int | None
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(fused_swin, "chunk_tokens_of", lambda _: chunk_tokens)
    variant = SwinVariant(8, (2, 2, 2, 2), (1, 2, 2, 4), 7)
    swin = SwinTransformer(variant).double().eval().requires_grad_(False)
    for name, parameter in swin.named_parameters():
        if name.endswith("bias_table"):
            parameter.normal_()
    fused = FusedSwin(swin, variant.window)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    for ours, plain in zip(fused(x, fused.plan(*size, x.device)), swin(x), strict=True):
        torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_gives_four_features(name: str) -> None:
    variant = BACKBONES[name]
    with torch.device("meta"):
        features = SwinTransformer(variant)(torch.empty(1, 3, 256, 320))
    assert [tuple(f.shape[1:]) for f in features] == [
        (c, 64 >> i, 80 >> i) for i, c in enumerate(variant.channels)
    ]


def test_pictures_of_a_batch_do_not_mix(tiny: BiRefNet) -> None:
    network = fuse(tiny)
    x = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        both, second = network(x), network(x[1:])
    torch.testing.assert_close(both[1:], second, atol=2e-3, rtol=1e-3)


def test_the_position_index_is_on_the_cpu_wherever_it_is_first_asked_for() -> None:
    relative_position_index.cache_clear()
    with torch.device("meta"):
        assert relative_position_index(3).device.type == "cpu"


@pytest.mark.timeout(300)
def test_the_network_can_be_traced_whole(tiny: BiRefNet) -> None:
    network, x = fuse(tiny), torch.zeros(1, 3, 64, 64)
    with torch.inference_mode():
        eager = network(x)
        network.run = torch.compile(network.run, backend="eager", fullgraph=True)  # type: ignore[method-assign]
        torch.testing.assert_close(network(x), eager, atol=2e-3, rtol=1e-3)
