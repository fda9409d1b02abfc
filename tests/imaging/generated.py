"""Hundreds of generated files: formats x depths x layouts x colours x orientations x alpha."""

import io
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pillow_heif
import pyvips
import tifffile
from numpy.typing import NDArray
from PIL import Image

from tests import icc

Pixels = NDArray[np.uint8]
WIDTH, HEIGHT = 60, 44
LOSSY, EXACT = 3.0, 0.8
P3 = icc.rgb_profile()


class Case(NamedTuple):
    """A file, the upright picture that it shows, and how far from it a decoder may be."""

    name: str
    data: bytes
    rgb: Pixels
    alpha: Pixels | None
    tolerance: float
    with_vips: bool = True


def picture() -> Pixels:
    """Soft colours, and no symmetry."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    red, green, blue = 40 + 3 * x, 60 + 4 * y, 200 - 2 * x - y
    return np.stack([red, green, blue], -1).clip(0, 255).astype(np.uint8)


RGB = picture()
ALPHA = np.linspace(40, 255, WIDTH).astype(np.uint8)[None].repeat(HEIGHT, 0)
GREY = np.linspace(10, 245, WIDTH).astype(np.uint8)[None].repeat(HEIGHT, 0)
GREY_RGB = np.repeat(GREY[..., None], 3, -1)


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """How a camera stores an upright picture so that `orientation` turns it back."""
    mirrored = pixels[:, ::-1] if orientation in (2, 3) else pixels
    if orientation in (3, 4, 7):
        mirrored = mirrored[::-1]
    if orientation == 7:
        mirrored = mirrored[:, ::-1]
    if orientation in (5, 7):
        mirrored = np.swapaxes(mirrored, 0, 1)
    return np.rot90(mirrored, {6: 1, 8: -1}.get(orientation, 0))


def saved(pixels: Pixels, kind: str, mode: str | None = None, **options: Any) -> bytes:
    array = np.ascontiguousarray(pixels)
    image = Image.fromarray(array)
    if mode is not None:
        image = Image.frombytes(mode, (array.shape[1], array.shape[0]), array.tobytes())
    buffer = io.BytesIO()
    if kind == "HEIF":
        pillow_heif.from_pillow(image).save(buffer, **options)
    else:
        image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int, order: str = "<") -> bytes:
    data = Image.Exif()
    data.endian = order
    data[0x0112] = orientation
    return data.tobytes()


WAYS: dict[str, list[dict[str, Any]]] = {
    "JPEG": [
        {"quality": 95, "subsampling": 0},
        {"quality": 97, "progressive": True},
        {"quality": 95, "subsampling": 2, "restart_marker_blocks": 2},
    ],
    "PNG": [{}, {"compress_level": 1}],
    "WEBP": [{"lossless": True, "exact": True}, {"quality": 97}],
    "AVIF": [{"quality": 95, "subsampling": "4:4:4"}, {"quality": 95}],
    "HEIF": [{"quality": 95, "chroma": 444}, {"quality": 95}],
    "TIFF": [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}],
}
EXACT_KINDS = ("PNG", "TIFF")


def turned_files() -> Iterator[Case]:
    """Every format that has an orientation, every way of coding it, all orientations."""
    for kind, ways in WAYS.items():
        if kind == "HEIF":
            continue  # the standard makes EXIF's orientation a remark
        for (number, way), orientation in product(enumerate(ways), range(1, 9)):
            order = "<>"[orientation % 2]
            data = saved(turned(RGB, orientation), kind, exif=exif(orientation, order), **way)
            tolerance = EXACT if kind in EXACT_KINDS or way.get("lossless") else LOSSY
            with_vips = kind not in ("PNG", "WEBP")  # libvips does not read theirs
            yield Case(
                f"{kind}-{number}-turned-{orientation}", data, RGB, None, tolerance, with_vips
            )


def coloured_files() -> Iterator[Case]:
    """Every format with alpha, profiles and in grey; the wheel of libvips has no HEVC."""
    p3 = icc.p3_to_srgb(RGB).round().astype(np.uint8)
    light = (icc.encode_srgb(GREY_RGB / 255.0)).round().astype(np.uint8)
    for kind, ways in WAYS.items():
        for number, way in enumerate(ways):
            tolerance = EXACT if kind in EXACT_KINDS or way.get("lossless") else LOSSY
            name, vips = f"{kind}-{number}", kind != "HEIF"
            yield Case(f"{name}-plain", saved(RGB, kind, **way), RGB, None, tolerance, vips)
            data = saved(RGB, kind, icc_profile=P3, **way)
            yield Case(f"{name}-p3", data, p3, None, tolerance + 0.7, vips)
            if kind != "JPEG":
                data = saved(np.dstack([RGB, ALPHA]), kind, **way)
                yield Case(f"{name}-alpha", data, RGB, ALPHA, tolerance, vips)
            if kind in ("JPEG", "PNG", "TIFF"):
                data = saved(GREY, kind, **way)
                yield Case(f"{name}-grey", data, GREY_RGB, None, tolerance)
                data = saved(GREY, kind, icc_profile=icc.grey_profile(), **way)
                yield Case(f"{name}-linear-grey", data, light, None, tolerance + 0.7)
            if kind in ("PNG", "TIFF"):
                data = saved(np.dstack([GREY, ALPHA]), kind, **way)
                yield Case(f"{name}-grey-alpha", data, GREY_RGB, ALPHA, tolerance)


def png_depths() -> Iterator[Case]:
    """Samples of 1 to 16 bits, palettes and transparent colours."""
    for bits in (1, 2, 4):
        levels = (GREY.astype(int) * (2**bits) // 256).astype(np.uint8)
        full = levels * (255 // (2**bits - 1))
        shown = np.repeat(full[..., None], 3, -1)
        indexed = Image.fromarray(levels)
        indexed = indexed.convert("P")
        indexed.putpalette([v for i in range(2**bits) for v in [i * 255 // (2**bits - 1)] * 3])
        buffer = io.BytesIO()
        indexed.save(buffer, "PNG", bits=bits)
        yield Case(f"PNG-palette-{bits}", buffer.getvalue(), shown, None, EXACT)
        buffer = io.BytesIO()
        indexed.save(buffer, "PNG", bits=bits, transparency=0)
        alpha = np.where(levels == 0, 0, 255).astype(np.uint8)
        yield Case(f"PNG-palette-{bits}-clear", buffer.getvalue(), shown, alpha, EXACT)
    for samples, pixels in ((1, GREY), (2, np.dstack([GREY, ALPHA])), (3, RGB), (4, rgba())):
        image = pyvips.Image.new_from_array(pixels.astype(np.uint16) * 257)
        kind = "grey16" if samples < 3 else "rgb16"
        data = image.copy(interpretation=kind).pngsave_buffer(bitdepth=16)
        own = ALPHA if samples in (2, 4) else None
        yield Case(f"PNG-16-{samples}", data, RGB if samples > 2 else GREY_RGB, own, EXACT)


def rgba() -> Pixels:
    return np.dstack([RGB, ALPHA])


def inked(inks: Pixels) -> Pixels:
    """What the CMYK profile of the tests makes of inks."""
    lab = [icc.cmyk_to_lab(*ink) for ink in inks.reshape(-1, 4) / 255]
    shown = icc.lab_to_srgb(np.reshape(lab, (*inks.shape[:2], 3)))
    return np.asarray(shown.round(), np.uint8)


SCALE: dict[str, tuple[Any, float]] = {
    "u1": (np.uint8, 1), "u2": (np.uint16, 257), "u4": (np.uint32, 16843009),
    "f2": (np.float16, 1 / 255), "f4": (np.float32, 1 / 255),
}  # fmt: skip
COMPRESSIONS = [None, "lzw", "zlib", "packbits", "zstd"]


def tiff(pixels: NDArray[Any], order: str, planar: bool, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if planar and pixels.ndim == 3:
        pixels, options["planarconfig"] = np.moveaxis(pixels, -1, 0), "separate"
    elif pixels.ndim == 3:
        options["planarconfig"] = "contig"
    options["byteorder"] = order
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


def tiff_layouts() -> Iterator[Case]:
    """Depths, byte orders, planes, tiles, compressions and predictors."""
    alphas = {"unassociated": "unassalpha"}
    for depth, (dtype, scale) in SCALE.items():
        for order, planar, tile, compression in product(
            "<>", (False, True), (None, (16, 32)), COMPRESSIONS
        ):
            if compression == "packbits" and depth != "u1":
                continue
            options: dict[str, Any] = {"compression": compression, "tile": tile}
            if tile is None:
                options["rowsperstrip"] = 7
            if compression in ("lzw", "zlib"):
                options["predictor"] = 3 if depth.startswith("f") else 2
            rgb = (RGB * float(scale)).astype(dtype)
            name = f"TIFF-{depth}-{order}-{'planes' if planar else 'pixels'}-{compression}-{tile}"
            data = tiff(rgb, order, planar, photometric="rgb", **options)
            readable = compression != "zstd" and not (planar and tile)
            yield Case(name, data, RGB, None, EXACT, readable and depth in ("u1", "u2"))
            if compression == "lzw" or (compression is None and tile is None):
                four = (rgba() * float(scale)).astype(dtype)
                options["extrasamples"] = list(alphas.values())
                data = tiff(four, order, planar, photometric="rgb", **options)
                yield Case(
                    f"{name}-alpha", data, RGB, ALPHA, EXACT, readable and depth in ("u1", "u2")
                )
    for depth, order, white in product(("u1", "u2", "u4", "f4"), "<>", (False, True)):
        dtype, scale = SCALE[depth]
        values = (255 - GREY.astype(float) if white else GREY) * float(scale)
        if white and depth == "f4":
            continue  # has no meaning
        kind = "miniswhite" if white else "minisblack"
        data = tiff(values.astype(dtype), order, False, photometric=kind, bigtiff=order == ">")
        yield Case(f"TIFF-{kind}-{depth}-{order}", data, GREY_RGB, None, EXACT, depth == "u1")
    for depth, order, planar in product(("u1", "u2"), "<>", (False, True)):
        dtype, scale = SCALE[depth]
        opaque = np.full_like(ALPHA, 255)
        inks = np.dstack([RGB // 3, 255 - ALPHA])
        profile = icc.cmyk_profile()
        shown = inked(inks)
        options = {"photometric": "separated", "iccprofile": profile}
        data = tiff((inks * float(scale)).astype(dtype), order, planar, **options)
        yield Case(f"TIFF-cmyk-{depth}-{order}-{planar}", data, shown, None, 2.5, False)
        five = np.dstack([inks, ALPHA])
        options["extrasamples"] = ["unassalpha"]
        data = tiff((five * float(scale)).astype(dtype), order, planar, **options)
        yield Case(f"TIFF-cmyk-alpha-{depth}-{order}-{planar}", data, shown, ALPHA, 2.5, False)
        for pixels, truth, kind in (
            (rgba(), RGB, "rgb"),
            (np.dstack([GREY, opaque]), GREY_RGB, "minisblack"),
        ):
            alpha = pixels[..., -1]
            share = alpha[..., None] / 255
            times = np.concatenate([pixels[..., :-1] * share, alpha[..., None]], -1)
            data = tiff(
                (times * float(scale)).round().astype(dtype), order, planar,
                photometric=kind, extrasamples=["assocalpha"],
            )  # fmt: skip
            yield Case(
                f"TIFF-{kind}-associated-{depth}-{order}-{planar}", data, truth, alpha, 2.5, False
            )


def packed_tiffs() -> Iterator[Case]:
    """Grey samples of 1 to 14 bits, packed."""
    for bits, order in product((1, 2, 4, 10, 12, 14), "<>"):
        levels = GREY.astype(np.uint32) * (2**bits) // 256
        binary = ((levels[..., None] >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8)
        rows = np.packbits(binary.reshape(HEIGHT, -1), axis=1).tobytes()
        shown = np.repeat((levels * 255 / (2**bits - 1)).round().astype(np.uint8)[..., None], 3, -1)
        head = {"<": b"II*\0", ">": b"MM\0*"}[order]
        tags = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: HEIGHT}
        tags[279] = len(rows)
        entries = b"".join(
            np.array([tag, 4], order + "u2").tobytes() + np.array([1, v], order + "u4").tobytes()
            for tag, v in tags.items()
        )
        start = np.array([8 + len(rows)], order + "u4").tobytes()
        count = np.array([len(tags)], order + "u2").tobytes()
        data = head + start + rows + count + entries + bytes(4)
        yield Case(f"TIFF-packed-{bits}-{order}", data, shown, None, EXACT, bits in (1, 4))


def other_files() -> Iterator[Case]:
    """GIF, BMP and coded TIFFs."""
    palette = Image.fromarray(RGB).quantize(64)
    shown = np.asarray(palette.convert("RGB"))
    buffer = io.BytesIO()
    palette.save(buffer, "GIF")
    yield Case("GIF", buffer.getvalue(), shown, None, EXACT)
    buffer = io.BytesIO()
    palette.save(buffer, "GIF", transparency=palette.getpixel((0, 0)), interlace=1)
    alpha = np.where(np.asarray(palette) == palette.getpixel((0, 0)), 0, 255).astype(np.uint8)
    yield Case("GIF-clear", buffer.getvalue(), shown, alpha, EXACT)
    yield Case("BMP", saved(RGB, "BMP"), RGB, None, EXACT, False)
    yield Case("BMP-grey", saved(GREY, "BMP"), GREY_RGB, None, EXACT, False)
    buffer = io.BytesIO()
    palette.save(buffer, "BMP")
    yield Case("BMP-palette", buffer.getvalue(), shown, None, EXACT, False)
    for compression, tolerance in (("jpeg", 6.0), ("webp", EXACT)):  # tiles have hard edges
        for tile in (None, (16, 16)):
            args = {"lossless": True} if compression == "webp" else {"level": 95}
            data = tiff(
                RGB,
                "<",
                False,
                photometric="rgb",
                compression=compression,
                tile=tile,
                compressionargs=args,
            )
            yield Case(
                f"TIFF-{compression}-{tile}", data, RGB, None, tolerance, compression == "jpeg"
            )
    bilevel = np.where(GREY > 127, 255, 0).astype(np.uint8)
    for compression in ("group3", "group4", "packbits"):
        buffer = io.BytesIO()
        Image.fromarray(bilevel).convert("1").save(buffer, "TIFF", compression=compression)
        yield Case(
            f"TIFF-{compression}",
            buffer.getvalue(),
            np.repeat(bilevel[..., None], 3, -1),
            None,
            EXACT,
        )
    buffer = io.BytesIO()
    palette.save(buffer, "TIFF", compression="tiff_lzw")
    yield Case("TIFF-palette", buffer.getvalue(), shown, None, EXACT)
    inks = np.dstack([RGB // 3, 255 - ALPHA])
    data = saved(inks, "JPEG", "CMYK", quality=97, icc_profile=icc.cmyk_profile())
    yield Case("JPEG-cmyk", data, inked(inks), None, 4.0, False)


CASES = [
    *turned_files(), *coloured_files(), *png_depths(), *tiff_layouts(), *packed_tiffs(),
    *other_files(),
]  # fmt: skip
