"""The pixels of a TIFF: by libtiff or tifffile, and only of layouts that have been checked."""

from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from rmbg_service.errors import InvalidImage
from rmbg_service.imaging.formats.header import Header, Parts
from rmbg_service.imaging.formats.jpeg import JpegWork, read_jpeg
from rmbg_service.imaging.formats.tiff import Layout, read_layout
from rmbg_service.imaging.formats.webp import read_webp
from rmbg_service.imaging.pillow_pixels import Samples, samples_of, scaled_to_8_bits
from rmbg_service.imaging.tiling import bands
from rmbg_service.messages import Message

Unsigned: TypeAlias = NDArray[np.unsignedinteger[Any]]

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4, _LAB: 3}
_NONE, _LZW, _JPEG, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 7, 8, 32946, 32773
_ZSTD, _WEBP = 50000, 50001
_BY_TIFFFILE = (_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS, _ZSTD, _WEBP)
_FAX = (2, 3, 4)
_UNSIGNED, _FLOAT = 1, 3
_FORMAT_NAMES = {1: Message("unsigned"), 2: Message("signed"), 3: Message("floating-point")}
_DEPTHS = {_UNSIGNED: (1, 2, 4, 8, 10, 12, 14, 16, 32), _FLOAT: (16, 32)}
_ASSOCIATED = 1
_ALPHA = (_ASSOCIATED, 2, 999)  # the last one is Corel Draw's
_BLOCK = 16  # by which a JPEG strip may reach beyond the image
_MAX_FLOAT = 16.0
_STRIP_BYTES_PER_PIXEL = 8  # of the image, or a strip would take more than the job has reserved
_SMALL_STRIP_BYTES = 32_000_000
_BAND_PIXELS = 1 << 20


def decode_tiff(data: bytes) -> Samples:
    """The first image of a TIFF that `read_tiff` has rewritten.

    Raises `InvalidImage` for a layout that is not supported, and says which.
    """
    layout = read_layout(data)
    if layout.photometric == _PALETTE or layout.compression in (_JPEG, *_FAX):
        return _by_libtiff(data, layout)
    if _is_plain(layout):
        return _by_libtiff(data, layout)
    if layout.compression not in _BY_TIFFFILE:
        raise InvalidImage("tiff compression {number} is not supported", number=layout.compression)
    if layout.photometric == _YCBCR:
        return _by_libtiff(data, layout)
    if layout.photometric not in _COLOURS:
        raise InvalidImage("tiff colour space {number} is not supported", number=layout.photometric)
    if layout.bits not in _DEPTHS.get(layout.sample_format, ()):
        raise InvalidImage(
            "tiff samples of {bits} bits, {kind}, are not supported",
            bits=layout.bits,
            kind=_FORMAT_NAMES.get(layout.sample_format, Message("other")),
        )
    if layout.photometric == _LAB and (layout.sample_format, layout.bits) not in ((1, 8), (1, 16)):
        raise InvalidImage("tiff L*a*b* samples of other than 8 or 16 bits are not supported")
    if layout.samples < _COLOURS[layout.photometric]:
        raise InvalidImage("the tiff file has fewer samples than its colour space needs")
    return _to_samples(_by_tifffile(data, layout), layout)


def _is_plain(layout: Layout) -> bool:
    """Whether libtiff, which is twice as fast, reads this layout as well."""
    colours = {_BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4}.get(layout.photometric)
    opaque = layout.samples == colours
    has_alpha = layout.photometric == _RGB and layout.samples == 4 and layout.extra == (2,)
    return (
        (opaque or has_alpha)
        and (layout.bits, layout.sample_format, layout.fill_order) == (8, _UNSIGNED, 1)
        and not layout.planar
        and layout.predictor in (1, 2)
        and layout.compression in (_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS)
    )


def _by_libtiff(data: bytes, layout: Layout) -> Samples:
    subsampled = layout.compression != _JPEG and layout.subsampling != (1, 1)
    if layout.photometric == _YCBCR and subsampled:
        raise InvalidImage("tiff files with subsampled colours are not supported unless in JPEG")
    if layout.planar:
        raise InvalidImage(
            "tiff files of this colour space and compression are not supported in planes"
        )
    if layout.bits > 8:
        raise InvalidImage(
            "tiff files of this colour space and compression are not supported with {bits} bits a "
            "sample",
            bits=layout.bits,
        )
    if layout.compression == _JPEG:
        _check_streams(data, layout, partial(read_jpeg, work=JpegWork()))
    image = TiffImageFile(BytesIO(data))
    image.load()
    return samples_of(image)


def _check_streams(data: bytes, layout: Layout, read: Callable[[bytes], Header]) -> None:
    """Refuse strips or tiles that are larger images than they should be."""
    height, width = layout.segment
    for offset, size in zip(layout.offsets.tolist(), layout.sizes.tolist(), strict=True):
        header = read(data[offset : offset + size])
        if header.width > width + _BLOCK or header.height > height + _BLOCK:
            raise InvalidImage("a part of the tiff file is larger than the file says")


def _by_tifffile(data: bytes, layout: Layout) -> Unsigned:
    """The samples that count `(H, W, n)`: the colours and alpha, scaled to all 8 or 16 bits."""
    from tifffile import TiffFile  # 0.1 s, and seldom needed

    if layout.predictor != 1 and layout.bits not in (8, 12, 16, 32):
        raise InvalidImage(
            "tiff samples of {bits} bits with a predictor are not supported", bits=layout.bits
        )
    strip = layout.segment[0] * layout.segment[1] * (1 if layout.planar else layout.samples)
    allowed = _STRIP_BYTES_PER_PIXEL * layout.width * layout.height + _SMALL_STRIP_BYTES
    if strip * layout.bits // 8 > allowed:
        raise InvalidImage(
            "the tiff file's strips are too large to decode: save it in smaller ones"
        )
    if layout.compression == _WEBP:
        _check_streams(data, layout, partial(read_webp, parts=Parts()))
    chosen = _chosen(layout)
    pixels = np.zeros(
        (layout.height, layout.width, len(chosen)), np.uint8 if layout.bits <= 8 else np.uint16
    )
    with TiffFile(BytesIO(data)) as file:
        page = file.pages.first
        for segment, (plane, _, top, left, _), _ in page.segments(maxworkers=1):
            if segment is None or (layout.planar and plane not in chosen):
                continue
            part = segment[0, : layout.height - top, : layout.width - left]
            taken = [0] if layout.planar else chosen
            target = [chosen.index(plane)] if layout.planar else slice(None)
            rows = max(1, _BAND_PIXELS // part.shape[1])
            for row in range(0, part.shape[0], rows):
                band = _scaled(part[row : row + rows, :, taken], layout)
                place = slice(top + row, top + row + len(band)), slice(left, left + part.shape[1])
                pixels[place][..., target] = band
    return pixels


def _chosen(layout: Layout) -> list[int]:
    """The numbers of the samples that are colours, then that of the alpha, if any."""
    colours = _COLOURS[layout.photometric]
    alpha = next((i for i, kind in enumerate(layout.extra) if kind in _ALPHA), None)
    if alpha is None and layout.photometric == _RGB and layout.samples == 4 and not layout.extra:
        alpha = 0  # a common omission
    found = alpha is not None and colours + alpha < layout.samples
    return [*range(colours), *([colours + (alpha or 0)] if found else [])]


def _scaled(part: NDArray[Any], layout: Layout) -> Unsigned:
    """Samples of any depth scaled to 8 bits, or to 16 if they have more."""
    if layout.sample_format == _FLOAT:
        values = np.nan_to_num(part.astype(np.float32, copy=False), posinf=1.0)
        if values.size and values.max() > _MAX_FLOAT:
            raise InvalidImage("tiff files of floats beyond [0, 1] are not supported")
        return np.asarray(np.clip(values, 0, 1) * 65535 + 0.5).astype(np.uint16)
    if layout.bits == 32:
        return (part.astype(np.uint32, copy=False) >> 16).astype(np.uint16)
    if layout.bits in (8, 16):
        return part
    most = (1 << layout.bits) - 1
    full = 255 if layout.bits < 8 else 65535
    return np.asarray((part.astype(np.uint32) & most) * full // most, np.uint16)


def _to_samples(pixels: Unsigned, layout: Layout) -> Samples:
    """The samples of `pixels`, which are overwritten; those of RGB keep their 16 bits."""
    colours = _COLOURS[layout.photometric]
    alpha = None
    if pixels.shape[2] > colours:
        alpha = np.ascontiguousarray(scaled_to_8_bits(pixels[..., -1]))
        if next((kind for kind in layout.extra if kind in _ALPHA), None) == _ASSOCIATED:
            for rows in bands(pixels.shape):
                pixels[rows] = _divided_by_alpha(pixels[rows])
    if layout.photometric == _RGB:
        return Samples(pixels[..., :colours], alpha)
    if layout.photometric == _WHITE_IS_ZERO:
        np.invert(pixels[..., 0], out=pixels[..., 0])
    eight_bits = np.empty((layout.height, layout.width, colours), np.uint8)
    scaled = _lab_to_8_bits if layout.photometric == _LAB else scaled_to_8_bits
    for rows in bands(pixels.shape):
        eight_bits[rows] = scaled(pixels[rows])[..., :colours]
    mode = {_CMYK: "CMYK", _LAB: "LAB"}.get(layout.photometric, "L")
    size = layout.width, layout.height
    return Samples(Image.frombytes(mode, size, eight_bits.tobytes()), alpha)


def _lab_to_8_bits(band: Unsigned) -> Unsigned:
    """L* as a share of 100; a* and b* are signed, and lose their lower byte."""
    if band.dtype == np.uint8:
        return band
    signed = band[..., 1:3].astype(np.uint16).view(np.int16).astype(np.int32)
    rounded = np.clip((signed + 128) >> 8, -128, 127).astype(np.int8).view(np.uint8)
    return np.concatenate([scaled_to_8_bits(band[..., :1]), rounded], axis=-1)


def _divided_by_alpha(band: Unsigned) -> Unsigned:
    """Colours as they are without the alpha that they were multiplied by."""
    most = np.iinfo(band.dtype).max
    alpha = band[..., -1:].astype(np.float32)
    colours = band[..., :-1] * (most / np.maximum(alpha, 1))
    divided = np.minimum(colours + 0.5, most).astype(band.dtype)
    return np.concatenate([divided, band[..., -1:]], axis=-1)
