"""What a removal costs by the shape of the image: CPU time against a square one, and peak memory.

    python bench/shapes.py time [--rounds 3] [--megapixels 2]
    python bench/shapes.py memory [--megapixels 8]

Every stage but inference, from the bytes of a file to those of the result, with a soft disc as the
matte. `time` gives the CPU time of each shape as a multiple of that of a square image with as many
pixels, shapes and squares in turns; medians. `memory` gives the peak of resident memory above what
the process held before, in bytes per pixel, each in a process of its own, beside what the service
reserves. The first two shapes are one pixel wide or high and as long as `RMBG_MAX_IMAGE_SIDE`
allows; the others have as many megapixels as asked for, or `MAX_SIDE` on one side.
"""

import argparse
import multiprocessing
import time
from io import BytesIO
from math import isqrt
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.errors import BeyondFormat
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.probe import probe
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import predict_passes
from rmbg_service.removal.pipeline import cut_out, restrict
from rmbg_service.removal.result import encode, reserved_pixels
from rmbg_service.system.memory_budget import BYTES_PER_PIXEL
from rmbg_service.system.resources import resident_bytes

MAX_SIDE = 65_500
WEBP_MAX_SIDE = 16_383
LIMIT = 10**9
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("PNG RGB", {"detail": "off", "decontaminate": False}),
    "default": ("PNG RGB", {}),
    "default, JPEG in": ("JPEG RGB", {}),
    "transparent in": ("PNG RGBA", {}),
    "opaque subject": ("PNG RGBA", {"semitransparency": False}),
    "every view": ("PNG RGB", {"detail": "best"}),
    "keep shadow": ("PNG RGB", {"shadow": "keep"}),
    "drop shadow": ("PNG RGBA", {"shadow": "drop", "shadow_angle": 90, "shadow_softness": 1}),
    "auto shadow, on a colour": ("JPEG RGB", {"shadow": "auto", "background": "red"}),
    "layers": ("PNG RGBA", {"shadow": "drop", "output": "layers"}),
    "crop with margin": ("PNG RGBA", {"crop": True, "margin": "20%", "shadow": "drop"}),
    "scale 100%": ("PNG RGBA", {"scale": "100%", "shadow": "drop"}),
    "scale 10%": ("PNG RGBA", {"scale": "10%", "position": "0% 100%"}),
    "region": ("PNG RGBA", {"roi": "5% 5% 95% 95%", "shadow": "drop"}),
    "max_side": ("PNG RGBA", {"max_side": 1000}),
    "matte": ("PNG RGBA", {"output": "matte"}),
    "jpeg out": ("JPEG RGB", {"format": "jpeg"}),
    "zip out": ("PNG RGBA", {"format": "zip"}),
    "webp out": ("PNG RGBA", {"format": "webp"}),
    "webp-lossy out": ("PNG RGBA", {"format": "webp-lossy"}),
    "avif out": ("PNG RGBA", {"format": "avif"}),
    "psd out, shadow, on a colour": (
        "PNG RGBA",
        {"format": "psd", "shadow": "drop", "background": "red"},
    ),
    "webp in": ("WEBP RGBA", {}),
    "tiff in, keep shadow": ("TIFF RGBA", {"shadow": "keep"}),
    "cmyk in": ("JPEG CMYK", {}),
}


def shapes(megapixels: float) -> dict[str, tuple[int, int]]:
    """Widths and heights by name; the square has as many pixels as the extremes."""
    pixels = round(megapixels * 1e6)
    rest = max(1, pixels // MAX_SIDE)
    return {
        "1 x N": (1, MAX_SIDE),
        "N x 1": (MAX_SIDE, 1),
        "16 x N": (16, MAX_SIDE),
        "N x 16": (MAX_SIDE, 16),
        f"{rest} x N": (rest, MAX_SIDE),
        f"N x {rest}": (MAX_SIDE, rest),
    }


def square_of(shape: tuple[int, int]) -> tuple[int, int]:
    side = isqrt(shape[0] * shape[1])
    return side, side


def image_file(shape: tuple[int, int], kind: str) -> bytes:
    """A noisy image with a brighter middle, soft alpha around it if `kind` has one."""
    width, height = shape
    name, _, mode = kind.partition(" ")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (height, width, len(mode)), np.uint8)
    y = np.abs(np.linspace(-1, 1, height, dtype=np.float32))[:, None]
    x = np.abs(np.linspace(-1, 1, width, dtype=np.float32))[None]
    inside = np.clip(1.4 - np.maximum(x, y), 0, 1)
    pixels[..., :3] += (inside[..., None] * 150).astype(np.uint8)
    if mode == "RGBA":
        pixels[..., 3] = inside * 255
    buffer = BytesIO()
    options: dict[str, Any] = {"PNG": {"compress_level": 1}, "TIFF": {}}.get(name, {"quality": 90})
    Image.fromarray(pixels, mode).save(buffer, name, **options)
    return buffer.getvalue()


def soft_disc(side: int) -> NDArray[np.float32]:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    return np.asarray(np.clip((0.35 - np.hypot(x, y)) * 20 + 0.5, 0, 1), np.float32)


def remove(data: bytes, options: RemovalOptions, input_px: int) -> int:
    """Every stage but inference; the result's length."""
    matte = soft_disc(input_px)
    info = probe(data, LIMIT)
    source = restrict(decode(data, info, keep_profile=options.color_profile == "keep"), options)
    passes = predict_passes(source, options, (input_px, input_px))
    inputs = next(passes)
    while True:
        try:
            mattes = [matte.copy() for _ in inputs]
            del inputs
            inputs = passes.send(mattes)
        except StopIteration as end:
            cutout = cut_out(source, end.value, options)
            return len(encode(cutout, options, LIMIT).data)


def cpu_seconds(data: bytes, options: RemovalOptions, input_px: int) -> float:
    started = time.process_time()
    remove(data, options, input_px)
    return time.process_time() - started


def peak_bytes(data: bytes, case: str, input_px: int) -> int | None:
    """Peak of resident memory above what was there before; run it in a process of its own."""
    kind, given = CASES[case]
    options = RemovalOptions.model_validate(given)
    cv2.setNumThreads(1)
    remove(image_file((64, 64), kind), options, input_px)  # what is loaded once does not count
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far (man 5 proc)
    before = resident_bytes()
    try:
        remove(data, options, input_px)
    except BeyondFormat:
        return None
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 - before


def print_times(megapixels: float, rounds: int, input_px: int, cases: list[str]) -> None:
    names = shapes(megapixels)
    print("| | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|")
    for case in cases:
        kind, given = CASES[case]
        options, cells = RemovalOptions.model_validate(given), []
        for shape in names.values():
            if kind.startswith("WEBP") and max(shape) > WEBP_MAX_SIDE:
                cells.append("-")
                continue
            data, square = image_file(shape, kind), image_file(square_of(shape), kind)
            try:
                pairs = [
                    (cpu_seconds(data, options, input_px), cpu_seconds(square, options, input_px))
                    for _ in range(rounds)
                ]
                cells.append(f"{median(a / b for a, b in pairs):.2f}")
            except BeyondFormat:
                cells.append("-")
        print(f"| {case} | " + " | ".join(cells) + " |", flush=True)


def print_memory(megapixels: float, input_px: int, cases: list[str]) -> None:
    side = isqrt(round(megapixels * 1e6))
    names = {"square": (side, side)} | shapes(megapixels)
    print("| | reserved | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 2) + "|")
    spawn = multiprocessing.get_context("spawn")
    for case in cases:
        kind, given = CASES[case]
        info = probe(image_file((1000, 1000), kind), LIMIT)
        options = RemovalOptions.model_validate(given)
        reserved = reserved_pixels(info, [], options, LIMIT) * BYTES_PER_PIXEL / info.pixels
        cells = [f"{reserved:.0f}"]
        for width, height in names.values():
            if kind.startswith("WEBP") and max(width, height) > WEBP_MAX_SIDE:
                cells.append("-")
                continue
            data = image_file((width, height), kind)
            with spawn.Pool(1) as pool:
                peak = pool.apply(peak_bytes, (data, case, input_px))
            if peak is None:
                cells.append("-")
            elif width * height < 100_000:
                cells.append(f"{peak / 1e6:.0f} MB")
            else:
                cells.append(f"{peak / (width * height):.1f}")
        print(f"| {case} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("time", "memory"))
    parser.add_argument("--megapixels", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--input", type=int, default=320, help="side of the network's input")
    parser.add_argument("--case", choices=CASES, action="append", help="only these")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    cases = args.case or list(CASES)
    if args.what == "time":
        print_times(args.megapixels, args.rounds, args.input, cases)
    else:
        print_memory(args.megapixels, args.input, cases)


if __name__ == "__main__":
    main()
