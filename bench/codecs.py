"""Every stage but inference, from a 12 MP JPEG to a PNG cutout, compared with the usual ways.

    python bench/codecs.py [--rounds 5]

The ways take turns in one process. Figures are medians of CPU time; read the ratios, which do not
depend on the machine. The last lines compare all our stages (detail off, as the others have none)
with the plain Pillow ones of rembg (Lanczos down and up, `Image.composite`, PNG at its default
level), and give the peak memory of our stages for each pixel and kind of input.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from load import SIZES, picture  # type: ignore[import-not-found]  # beside this script
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.encode import ENCODERS
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.resize import shrink
from rmbg_service.imaging.source import SourceImage
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import Prediction, predict_passes
from rmbg_service.removal.pipeline import cut_out
from rmbg_service.removal.result import encode
from rmbg_service.system.resources import resident_bytes

SIDE = 320
OPTIONS = RemovalOptions(detail="off", decontaminate=False)
LIMIT = 10**9
Ways = dict[str, Callable[[], object]]


def disc_matte() -> Any:
    """A soft disc, as the network would find it in the bench's picture."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE - 0.5
    radius = np.hypot(x * 3, y * 2.4)
    return np.clip((1 - radius) * 20 + 0.5, 0, 1)


def compare(stage: str, ways: Ways, rounds: int) -> dict[str, float]:
    """Median CPU milliseconds of each way, run in turns; prints a table."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            started = time.process_time()
            run()
            times[name].append((time.process_time() - started) * 1e3)
    medians = {name: median(values) for name, values in times.items()}
    best = min(medians.values())
    for name, ms in medians.items():
        print(f"| {stage} | {name} | {ms:.0f} | {ms / best:.1f} |")
    return medians


def open_jpeg(jpeg: bytes) -> SourceImage:
    """Our probe and decode."""
    return decode(jpeg, probe(jpeg, LIMIT))


def plain_pillow(jpeg: bytes, matte: Any) -> bytes:
    """rembg's stages around the network, with the matte given."""
    photo = Image.open(BytesIO(jpeg)).convert("RGB")
    photo.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    mask = Image.fromarray((matte * 255).astype(np.uint8)).resize(
        photo.size, Image.Resampling.LANCZOS
    )
    cutout = Image.composite(photo, Image.new("RGBA", photo.size, 0), mask)
    buffer = BytesIO()
    cutout.save(buffer, "PNG")
    return buffer.getvalue()


def ours(data: bytes, matte: Any, options: RemovalOptions = OPTIONS) -> bytes:
    """All our stages around the network, with the matte given."""
    source = open_jpeg(data)
    passes = predict_passes(source, options, (SIDE, SIDE))
    inputs = next(passes)
    while True:
        try:
            inputs = passes.send([matte] * len(inputs))
        except StopIteration as end:
            return encode(cut_out(source, end.value, options), options, LIMIT).data


def peak_bytes(data: bytes, options: RemovalOptions) -> int:
    """Peak memory of our stages on one picture; to be run in a process of its own."""
    ours(data, disc_matte(), options)  # what is loaded once does not count
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far (man 5 proc)
    before = resident_bytes()
    ours(data, disc_matte(), options)
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 - before


def make_kind(kind: str) -> bytes:
    """The bench's picture as another kind of file."""
    jpeg = picture(*SIZES["12mp"])
    if kind == "JPEG":
        return bytes(jpeg)
    name, _, mode = kind.partition(" ")
    buffer = BytesIO()
    image = Image.open(BytesIO(jpeg))
    if mode == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(buffer, name, exif=exif)
    else:
        image.convert(mode or "RGB").save(buffer, name)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    jpeg, matte = picture(*SIZES["12mp"]), disc_matte()
    rgb = open_jpeg(jpeg).rgb
    raw = np.frombuffer(jpeg, np.uint8)
    photo = Image.fromarray(rgb)
    cutout = cut_out(open_jpeg(jpeg), Prediction(matte, "plain"), OPTIONS)
    rgba = cutout.to_pil()
    bgra = cv2.cvtColor(np.asarray(rgba), cv2.COLOR_RGBA2BGRA)

    print("| stage | way | CPU ms | times the best |\n|---|---|---|---|")
    compare(
        "decode",
        {
            "ours": lambda: open_jpeg(jpeg),
            "simplejpeg": lambda: simplejpeg.decode_jpeg(jpeg),
            "OpenCV": lambda: cv2.imdecode(raw, cv2.IMREAD_COLOR),
            "Pillow": lambda: np.asarray(Image.open(BytesIO(jpeg)).convert("RGB")),
        },
        rounds,
    )
    compare(
        "shrink",
        {
            "ours (blocks, then bilinear)": lambda: shrink(rgb, (SIDE, SIDE)),
            "OpenCV area": lambda: cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA),
            "Pillow bilinear": lambda: photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR),
            "Pillow Lanczos": lambda: photo.resize((SIDE, SIDE), Image.Resampling.LANCZOS),
        },
        rounds,
    )
    compare(
        "encode",
        {
            "ours (bands, Up, ISA-L 1)": cutout.png,
            "OpenCV PNG 1": lambda: cv2.imencode(".png", bgra, [cv2.IMWRITE_PNG_COMPRESSION, 1]),
            "Pillow PNG 1": lambda: rgba.save(BytesIO(), "PNG", compress_level=1),
            "Pillow PNG 6": lambda: rgba.save(BytesIO(), "PNG"),
            "WebP lossless": lambda: ENCODERS["webp"].write(cutout, 90),
            "WebP lossy": lambda: ENCODERS["webp-lossy"].write(cutout, 90),
            "AVIF": lambda: ENCODERS["avif"].write(cutout, 60),
            "zip": lambda: ENCODERS["zip"].write(cutout, 90),
        },
        rounds,
    )
    full = RemovalOptions()
    totals = compare(
        "all",
        {
            "ours": lambda: ours(jpeg, matte),
            "ours with detail and clean colours": lambda: ours(jpeg, matte, full),
            "plain Pillow, as rembg": lambda: plain_pillow(jpeg, matte),
        },
        rounds,
    )
    ratio = totals["plain Pillow, as rembg"] / totals["ours"]
    print(f"\nours takes 1/{ratio:.1f} of the plain Pillow way's CPU time\n")
    print("| input | peak bytes a pixel | with detail and clean colours |\n|---|---|---|")
    width, height = SIZES["12mp"]
    spawn = multiprocessing.get_context("spawn")
    for kind in (
        "JPEG",
        "JPEG turned",
        "JPEG CMYK",
        "PNG",
        "PNG RGBA",
        "WEBP RGBA",
        "AVIF",
        "TIFF RGBA",
    ):
        data, peaks = make_kind(kind), []
        for options in (OPTIONS, full):
            with spawn.Pool(1) as pool:
                peaks.append(pool.apply(peak_bytes, (data, options)) / (width * height))
        print(f"| {kind} | {peaks[0]:.1f} | {peaks[1]:.1f} |")


if __name__ == "__main__":
    main()
