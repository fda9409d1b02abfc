"""BiRefNet on a CPU, as it serves requests and in its plain form: time, memory, agreement.

    python bench/models.py                                      # both backbones, 1024, this CPU
    python bench/models.py --backbone swin_v1_l --forms fused:fp32 fused:bf16 --rounds 3

    python bench/models.py --backbone swin_v1_t --forms fused:fp32 fused:bf16 --onnx swin_t.onnx

The weights are random (speed does not depend on them), so nothing is downloaded. The forms take
turns within each round, and the figures are medians of rounds. On a busy machine, read the ratio of
CPU times with `--threads 1`: threads that wait for one another suffer most. Every form
runs in a process of its own, whose peak resident memory is that of loading and running it, and
ratios and errors are against the first form. bfloat16 is measured if the CPU has instructions for
it. For GPUs there is bench/gpu.py. Graphs from bench/export_onnx.py run on ONNX Runtime, whose
threads do not spin while they wait, as in the service.
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import onnxruntime
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rmbg_service.models.birefnet.configuration import BiRefNetConfig
from rmbg_service.models.birefnet.fusing import fuse
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.precision import cpu_computes_bf16

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Form(NamedTuple):
    """What is measured: a network in a number format, or an ONNX graph of the plain one."""

    fused: bool
    dtype: str = "fp32"
    onnx: Path | None = None

    @property
    def label(self) -> str:
        """Its name in the tables."""
        if self.onnx is not None:
            return self.onnx.stem
        return f"{'fused' if self.fused else 'plain'} {self.dtype}"


class OnnxNetwork(nn.Module):
    """An ONNX graph on the CPU as a module."""

    def __init__(self, path: Path, threads: int) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(path, options, providers=providers)

    def forward(self, image: Tensor) -> Tensor:
        """Normalised RGB `(1, 3, H, W)` to logits `(1, 1, H, W)`."""
        (logits,) = self.session.run(None, {"image": image.numpy()})
        return torch.from_numpy(logits)


def random_network(backbone: str) -> BiRefNet:
    """A network with random weights that keep the signal's size from layer to layer."""
    with torch.device("meta"):
        model = BiRefNet(BiRefNetConfig(backbone=backbone))
    model.to_empty(device="cpu")
    random = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if name.endswith(("running_var", "norm.weight")) or (value.dim() == 1 and "weight" in name):
            value.fill_(1)
        elif value.dim() > 1:
            value.normal_(0, value[0].numel() ** -0.5, generator=random)
        else:
            value.zero_()
    model.train(False)
    model.requires_grad_(False)
    return model


def prepare(form: Form, backbone: str, threads: int) -> nn.Module:
    """The network of a form, ready to be called."""
    if form.onnx is not None:
        return OnnxNetwork(form.onnx, threads)
    plain = random_network(backbone)
    if not form.fused:
        return nn.Module.to(plain, DTYPES[form.dtype])
    network = fuse(plain).to(DTYPES[form.dtype])
    network.pack()
    return network


def picture(form: Form, size: int) -> Tensor:
    """The same smooth random input for every form."""
    small = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    x = nn.functional.interpolate(small, size=(size, size), mode="bilinear").to(DTYPES[form.dtype])
    return x.contiguous(memory_format=torch.channels_last) if form.fused else x


@torch.inference_mode()
def timed(model: nn.Module, x: Tensor) -> tuple[float, Tensor]:
    """Seconds of one call, and the matte."""
    start = time.perf_counter()
    logits = model.logits(x) if isinstance(model, BiRefNet) else model(x)
    return time.perf_counter() - start, logits[0, 0].float().sigmoid()


def serve(pipe: Connection, form: Form, backbone: str, size: int, threads: int) -> None:
    """In a process of its own: time a call for each message, then send the peak memory."""
    torch.set_num_threads(threads)
    model, x = prepare(form, backbone, threads), picture(form, size)
    while pipe.recv():
        start = time.process_time()
        seconds, matte = timed(model, x)
        pipe.send((seconds, time.process_time() - start, matte.numpy()))
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send(peak_kib / (2**30 if sys.platform == "darwin" else 2**20))


class Served:
    """A form in a process of its own, and what it took in each round."""

    def __init__(self, form: Form, backbone: str, size: int, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.form = form
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs, form, backbone, size, threads), daemon=True
        )
        self.process.start()
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        self.peak_gib = 0.0

    def call(self, keep: bool) -> None:
        """Predict once."""
        self.pipe.send(True)
        seconds, cpu_seconds, self.matte = self.pipe.recv()
        if keep:
            self.seconds.append(seconds)
            self.cpu_seconds.append(cpu_seconds)

    def close(self) -> None:
        """End the process."""
        self.pipe.send(False)
        self.peak_gib = self.pipe.recv()
        self.process.join()


def compare(forms: list[Form], backbone: str, size: int, rounds: int, threads: int) -> None:
    """Compare forms on this CPU."""
    served = [Served(form, backbone, size, threads) for form in forms]
    for turn in range(rounds + 1):  # the first round warms up
        for one in served:
            one.call(keep=turn > 0)
    for one in served:
        one.close()
    torch.set_num_threads(threads)
    peaks = {dtype: matmul_peak("cpu", DTYPES[dtype]) for dtype in {form.dtype for form in forms}}
    first = served[0]
    rates = ", ".join(f"{dtype} {peak / 1e9:.0f}" for dtype, peak in sorted(peaks.items()))
    print(f"\n{backbone}, {size} x {size}, {rounds} rounds, threads: {threads}", end="; ")
    print(f"matmul peak in GFLOP/s: {rates}")
    print(
        "| form | s | times faster | CPU s | times less | peak GiB | of peak | mean error | worst |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for one in served:
        took = statistics.median(one.seconds)
        share = count_flops(one.form, backbone, size) / took / peaks[one.form.dtype]
        error = abs(one.matte - first.matte)
        print(
            f"| {one.form.label} | {took:.2f} | {ratio(first.seconds, one.seconds):.2f}"
            f" | {statistics.median(one.cpu_seconds):.2f}"
            f" | {ratio(first.cpu_seconds, one.cpu_seconds):.2f} | {one.peak_gib:.2f}"
            f" | {share:.0%} | {error.mean():.1e} | {error.max():.1e} |",
            flush=True,
        )


def ratio(first: list[float], other: list[float]) -> float:
    """The median over rounds of the first form's time against another's."""
    return statistics.median(a / b for a, b in zip(first, other, strict=True))


def count_flops(form: Form, backbone: str, size: int) -> float:
    """Floating-point operations of the convolutions and matrix products for one picture."""
    with torch.device("meta"):
        model = BiRefNet(BiRefNetConfig(backbone=backbone))
    model.train(False)
    network = fuse(model) if form.fused else model
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, size, size, device="meta"))
    return float(counter.get_total_flops())


def matmul_peak(device: str, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large matrix product, the best of several."""
    n = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return 2 * n**3 / min(repeat(lambda: a @ b, device) for _ in range(8))


def repeat(call: Callable[[], object], device: str) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def form_of(text: str) -> Form:
    """`plain:fp32` and the like."""
    name, _, dtype = text.partition(":")
    if name not in ("plain", "fused") or dtype not in ("fp32", "bf16"):
        raise argparse.ArgumentTypeError(f"expected plain or fused, fp32 or bf16, got {text}")
    return Form(name == "fused", dtype)


def default_forms() -> list[Form]:
    """What `--forms` is on this CPU."""
    forms = [Form(fused=False), Form(fused=True)]
    return [*forms, Form(True, "bf16")] if cpu_computes_bf16() else forms


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--backbone", nargs="+", default=["swin_v1_t", "swin_v1_l"])
    parser.add_argument(
        "--forms",
        nargs="+",
        type=form_of,
        metavar="FORM",
        help="plain:fp32, fused:fp32, fused:bf16 (by default all that this CPU computes)",
    )
    parser.add_argument(
        "--onnx", nargs="*", default=[], type=Path, help="graphs of the backbone and size, too"
    )
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    graphs = [Form(fused=False, onnx=path) for path in args.onnx]
    for backbone in args.backbone:
        forms = [*(args.forms or default_forms()), *graphs]
        compare(forms, backbone, args.size, args.rounds, args.threads)


if __name__ == "__main__":
    main()
