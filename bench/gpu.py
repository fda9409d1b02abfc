"""BiRefNet on a GPU, in one run: speed, memory, accuracy, where the time goes, the whole service.

    python -m bench.gpu                       # everything, in under 8 minutes on an H100
    python -m bench.gpu --only forms profile  # parts of it
    python -m bench.gpu --small               # a trial of the script itself, on a CPU, too

Weights are random (speed does not depend on them). Every form is compared with the fused float32
form. Figures are medians; `share` is that of the rate of a large matrix product in the same format.
The parts:

peaks     rate of matrix products and copies on this card
forms     plain, fused, with Triton kernels, with a CUDA graph, compiled; batches
parity    the parity cases of the tests in each format, against float64
profile   the kernels that take the most time
service   pictures a second over HTTP against the predictor alone
"""

import argparse
import functools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import torch
from tests.models.birefnet.conftest import network as recipe_network
from tests.models.birefnet.parity import recipe
from torch import Tensor, nn

from bench.models import DTYPES, Form, count_flops, matmul_peak, random_network
from rmbg_service.models.birefnet.cuda import GraphedFunction, use_kernels
from rmbg_service.models.birefnet.fusing import FusedBiRefNet, fuse
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.predictor import BiRefNetPredictor
from rmbg_service.models.select import select_predictor
from rmbg_service.settings import Settings
from rmbg_service.system.memory_budget import default_codec_threads

PARTS = ("peaks", "forms", "parity", "profile", "service")


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(call: Callable[[], object], rounds: int) -> float:
    """Median milliseconds of a call, after the first ones."""
    times = []
    warm_ups = min(rounds, 2)
    for turn in range(warm_ups + rounds):
        synchronize()
        start = time.perf_counter()
        call()
        synchronize()
        if turn >= warm_ups:
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def pixels_of(batch: int, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A smooth random picture, `(B, size, size, 3)`."""
    small = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    picture = torch.nn.functional.interpolate(small, size=(size, size), mode="bilinear")
    array = (picture * 255).to(torch.uint8).permute(0, 2, 3, 1).repeat(batch, 1, 1, 1)
    return array.contiguous().numpy()


def normalised(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """As the predictor does."""
    return ((pixels.permute(0, 3, 1, 2) - 114.0) / 57.0).to(dtype)


def network_of(backbone: str, dtype: str, device: str) -> FusedBiRefNet:
    return fuse(random_network(backbone)).to(torch.device(device), DTYPES[dtype])


@functools.cache
def peak(device: str, dtype: str) -> float:
    """Floating-point operations a second of a large matrix product."""
    return matmul_peak(device, DTYPES[dtype])


@functools.cache
def flops(fused: bool, backbone: str, size: int) -> float:
    """Floating-point operations for one picture."""
    return count_flops(Form(fused), backbone, size)


def peaks(device: str) -> None:
    print("\n| format | TFLOP/s of a large matrix product |\n|---|---|")
    for name in DTYPES:
        if device == "cuda" or name != "fp16":
            print(f"| {name} | {peak(device, name) / 1e12:.1f} |", flush=True)
    if device == "cuda":
        a = torch.empty(2**30, dtype=torch.uint8, device=device)
        b = torch.empty_like(a)
        print(f"copies: {2 * a.numel() / measure(lambda: b.copy_(a), 20) / 1e9:.2f} TB/s")


@torch.inference_mode()
def forms(args: argparse.Namespace, device: str) -> None:
    for backbone in args.backbone:
        print(f"\n{backbone}, {args.size} x {args.size}")
        print("| form | ms an image | peak GiB | share | mean error | worst error |")
        print("|---|---|---|---|---|---|")
        for dtype in ("fp32", "fp16")[: 1 + (device == "cuda")]:
            plain = nn.Module.to(random_network(backbone), torch.device(device), DTYPES[dtype])
            call = functools.partial(plain.logits, pixels_on(device, args.size, dtype))
            report(f"plain {dtype}", backbone, dtype, args, call, None, fused=False)
        del plain, call
        truth: Tensor | None = None
        for dtype in ("fp32", *args.dtype):
            network = network_of(backbone, dtype, device)
            x = pixels_on(device, args.size, dtype)
            truth = network(x).float().sigmoid() if truth is None else truth
            label = f"fused {dtype}"
            report(label, backbone, dtype, args, functools.partial(network, x), truth)
            if dtype == "fp32" or device != "cuda":
                continue
            problem = use_kernels(network)
            label += " + kernels" if problem is None else f" ({problem})"
            report(label, backbone, dtype, args, functools.partial(network, x), truth)
            for batch in args.batch:
                graphed(f"{label} + graph", network, backbone, dtype, batch, args, truth)
            if args.compile and dtype == args.dtype[0]:
                start = time.perf_counter()
                network.compile_run()
                network(x)
                name = f"{label} + compiled ({time.perf_counter() - start:.0f} s) + graph"
                graphed(name, network, backbone, dtype, 1, args, truth)
            del network
            torch.cuda.empty_cache()


def pixels_on(device: str, size: int, dtype: str) -> Tensor:
    """One normalised picture."""
    return normalised(torch.from_numpy(pixels_of(1, size)).to(device), DTYPES[dtype])


def graphed(
    label: str,
    network: FusedBiRefNet,
    backbone: str,
    dtype: str,
    batch: int,
    args: argparse.Namespace,
    truth: Tensor | None,
) -> None:
    """A form behind a CUDA graph, from uint8 pixels on the host to mattes on the host."""
    pixels = pixels_of(batch, args.size)
    function = GraphedFunction(
        lambda p: (network(normalised(p, DTYPES[dtype]))[:, 0].float().sigmoid(),),
        torch.device("cuda", torch.cuda.current_device()),
    )
    torch.cuda.reset_peak_memory_stats()

    def call() -> Tensor:
        return function(pixels)[0]

    matte = call().clone()
    graph = next(iter(function._captured.values())).graph
    alone = measure(graph.replay, args.rounds) / batch
    name = f"{label} x{batch}"
    report(name, backbone, dtype, args, call, truth, batch=batch, matte=matte, alone=alone)


def report(
    label: str,
    backbone: str,
    dtype: str,
    args: argparse.Namespace,
    call: Callable[[], Tensor],
    truth: Tensor | None,
    fused: bool = True,
    batch: int = 1,
    matte: Tensor | None = None,
    alone: float | None = None,
) -> None:
    if torch.cuda.is_available() and matte is None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    took = measure(call, args.rounds) / batch
    device = "cuda" if torch.cuda.is_available() else "cpu"
    memory = torch.cuda.max_memory_reserved() / 2**30 if device == "cuda" else float("nan")
    share = flops(fused, backbone, args.size) / took * 1e3 / peak(device, dtype)
    error = "| |"
    if truth is not None:
        got = matte[:1] if matte is not None else call().float().sigmoid()[:, 0]
        difference = (got.to(truth.device) - truth[:, 0]).abs()
        error = f"{difference.mean():.1e} | {difference.max():.1e} |"
    replay = f" ({alone:.2f} on the device)" if alone is not None else ""
    print(f"| {label} | {took:.2f}{replay} | {memory:.2f} | {share:.0%} | {error}", flush=True)


@torch.inference_mode()
def parity(args: argparse.Namespace, device: str) -> None:
    """The small parity cases in each format, against the float64 of the reference."""
    expected = recipe.expected()["cases"]
    print("\n| case | form | mean error of the matte | worst |\n|---|---|---|---|")
    for name in args.cases:
        case = expected[name]
        want = torch.from_numpy(recipe.logits()[f"{name}.grid"]).double().sigmoid()
        picture = torch.from_numpy(recipe.image(case["height"], case["width"])[None])
        for dtype in ("fp32", *args.dtype):
            network = fuse(recipe_network(case["backbone"], case["patch_order"]))
            network.to(torch.device(device), DTYPES[dtype])
            kernels = device == "cuda" and use_kernels(network) is None
            x = recipe.normalise(picture[0].numpy()).to(device, DTYPES[dtype])
            got = network(x)[0, 0, :: case["step"], :: case["step"]].double().sigmoid().cpu()
            error = (got - want).abs()
            form = f"{dtype}{' + kernels' * kernels}"
            print(f"| {name} | {form} | {error.mean():.1e} | {error.max():.1e} |", flush=True)


def made_network(backbone: str) -> BiRefNet:
    """Random, but for the last layers: what is bright and red is the foreground.

    The network does all its work, and the service gets mattes with an inside and an edge.
    """
    network = random_network(backbone)
    last = network.decoder.conv_out1[0]
    first, second = network.decoder.ipt_blk1.conv1, network.decoder.ipt_blk1.conv_out
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    for weight in (last.weight, first.weight, second.weight):
        weight.zero_()
    first.weight[0, 0] = 1 / 9
    second.weight[0, 0, 1, 1] = 1
    last.weight[0, -second.out_channels] = 12
    last.bias.fill_(-12 * 0.7)
    return network


def alone(predictor: BiRefNetPredictor, batch: int, rounds: int) -> float:
    """Images a second of the predictor by itself, from pixels to mattes on the host."""
    picture = list(pixels_of(batch, predictor.input_size[0]))
    return batch * 1e3 / measure(lambda: predictor.predict(picture), rounds)


def service(args: argparse.Namespace, _device: str) -> None:
    """A made checkpoint behind HTTP, with several clients, against the predictor alone."""
    with tempfile.TemporaryDirectory() as folder:
        for backbone in args.backbone:
            path = Path(folder) / backbone
            made_network(backbone).save_pretrained(path)
            predictor = select_predictor(Settings(model=str(path), patch_order="c_hg_wg"))
            predictor.load()
            predictor.warm_up()
            rate = alone(predictor, 1, args.rounds)  # type: ignore[arg-type]
            predictor.close()
            del predictor
            print(f"\n{backbone}: the predictor alone {rate:.1f} images/s", flush=True)
            for codec_threads, processes in product(args.codec_threads, args.codec_processes):
                settings = {
                    "RMBG_MODEL": str(path),
                    "RMBG_PATCH_ORDER": "c_hg_wg",
                    "RMBG_PORT": str(args.port),
                    "RMBG_REQUEST_TIMEOUT_S": "120",
                    "RMBG_CODEC_THREADS": codec_threads,
                    "RMBG_CODEC_PROCESSES": processes,
                }
                print(f"\n{backbone}, {codec_threads} codec threads, processes {processes}")
                serve(args, settings)


def serve(args: argparse.Namespace, settings: dict[str, str]) -> None:
    """Load on a server with these settings; 12 MP get an eighth of the requests of 1 MP."""
    command = [sys.executable, "-m", "rmbg_service", "serve"]
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
        try:
            start = time.perf_counter()
            wait_until_ready(args.port, server)
            print(f"ready after {time.perf_counter() - start:.0f} s", flush=True)
            root = f"http://127.0.0.1:{args.port}"
            for size, requests in (("1mp", args.requests), ("12mp", args.requests // 8)):
                load = ["--form", "raw", "--size", size, "--pid", str(server.pid)]
                load += ["--clients", args.clients, "--requests", str(max(requests, 1))]
                load += ["--per-client", "1"]
                url = f"{root}/api/remove-bg"
                subprocess.run([sys.executable, "-m", "bench.load", url, *load], check=True)
            metrics = urllib.request.urlopen(f"{root}/metrics").read().decode()
            wanted = ("rmbg_stage_seconds_sum", "rmbg_stage_seconds_count", "rmbg_device_memory")
            print("\n".join(line for line in metrics.splitlines() if line.startswith(wanted)))
        except Exception:
            log.seek(0)
            print(log.read()[-3000:])
            raise
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


def wait_until_ready(port: int, server: "subprocess.Popen[bytes]") -> None:
    """Until the server takes requests; two minutes at most."""
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            if server.poll() is not None:
                raise RuntimeError("the server ended") from None
            time.sleep(0.5)
    raise TimeoutError("the server did not become ready")


def profile(args: argparse.Namespace, device: str) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    for backbone in args.backbone:
        network = network_of(backbone, args.dtype[0], device)
        if device == "cuda":
            use_kernels(network)
        x = normalised(torch.from_numpy(pixels_of(1, args.size)).to(device), DTYPES[args.dtype[0]])
        with torch.inference_mode():
            network(x)
            network(x)
            activity = ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU
            with record(activities=[activity]) as recorded:
                network(x)
                synchronize()
        total: dict[str, tuple[float, int]] = {}
        for event in recorded.events():
            spent = event.device_time_total if device == "cuda" else event.self_cpu_time_total
            name = event.name[:90]
            before, count = total.get(name, (0.0, 0))
            total[name] = (before + spent, count + 1)
        rows = sorted(total.items(), key=lambda row: -row[1][0])
        everything = sum(spent for spent, _ in total.values())
        print(
            f"\n{backbone}: {everything / 1e3:.2f} ms in {sum(n for _, n in total.values())} calls"
        )
        for name, (spent, count) in rows[: args.rows]:
            print(f"{spent / 1e3:7.3f} ms {spent / everything:5.1%} {count:5d} x {name}")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--small", action="store_true", help="256 x 256, the lite backbone, 1 round"
    )
    parser.add_argument("--backbone", nargs="+", default=["swin_v1_l", "swin_v1_t"])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--dtype", nargs="+", default=["fp16", "bf16"])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--compile", action="store_true", help="also torch.compile; takes minutes")
    parser.add_argument("--cases", nargs="+", default=["t_256", "t_288x352", "l_256", "l_256_rmbg"])
    parser.add_argument("--port", type=int, default=7861)
    parser.add_argument("--clients", default="1,8,16")
    parser.add_argument("--requests", type=int, default=200, help="of 1 MP, at each level")
    parser.add_argument(
        "--codec-threads",
        nargs="+",
        default=[str(default_codec_threads())],
        help="each with a server of its own",
    )
    parser.add_argument(
        "--codec-processes", nargs="+", choices=["on", "off"], default=["on", "off"]
    )
    parser.add_argument("--rows", type=int, default=30, help="of the profile")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if args.small:
        args.backbone, args.size, args.rounds = ["swin_v1_t"], 256, 1
    if device == "cpu":
        args.dtype = ["bf16"]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    name = torch.cuda.get_device_name() if device == "cuda" else "the CPU"
    print(f"{name}, torch {torch.__version__}")
    if "peaks" in args.only:
        peaks(device)
    if "forms" in args.only:
        forms(args, device)
    if "parity" in args.only:
        parity(args, device)
    if "profile" in args.only:
        profile(args, device)
    if "service" in args.only:
        service(args, device)


if __name__ == "__main__":
    main()
