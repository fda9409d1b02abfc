"""The image size that HEVC and AV1 streams themselves announce, whatever their file says."""

import struct
from collections.abc import Iterator
from itertools import chain

from rmbg_service.errors import InvalidImage
from rmbg_service.imaging.formats.header import Parts

MAX_UNITS = 32_768
"""Units of all the streams of a file."""
_MAX_LAYERS = 4  # of an AV1 image: one frame each

# HEVC (ITU-T H.265)
_SPS = 33
_LAST_SLICE = 31


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise EOFError
        return self._value >> self._left & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise EOFError
        return (1 << zeros) - 1 + self.take(zeros)


def check_hevc(stream: bytes, configuration: bytes, pixels: int, parts: Parts) -> None:
    """Refuse a coded image that holds more than one image, or one of more than `pixels`.

    `stream` is the item's data, `configuration` its `hvcC` property; `parts` counts their
    units and those of the file's other streams.
    """
    length_size = (configuration[21] & 3) + 1
    images = 0
    for unit in chain(
        _units_of_configuration(configuration, parts), _units(stream, length_size, parts)
    ):
        kind = unit[0] >> 1 & 0x3F
        if kind == _SPS:
            width, height = _sps_size(unit)
            if width * height > pixels:
                raise InvalidImage("the coded image is larger than the file says")
        elif kind <= _LAST_SLICE and _layer(unit) == 0 and unit[2] & 0x80:  # a first slice
            images += 1
    if images > 1:
        raise InvalidImage("a coded image in the file is a sequence")


def _layer(unit: bytes) -> int:
    """0 is the image itself; others are a second eye's or finer ones."""
    return (unit[0] & 1) << 5 | unit[1] >> 3


def _units_of_configuration(configuration: bytes, parts: Parts) -> Iterator[bytes]:
    position = 23
    for _ in range(configuration[22]):
        (count,) = struct.unpack_from(">H", configuration, position + 1)
        position += 3
        parts.count(1 + count)
        for _ in range(count):
            (size,) = struct.unpack_from(">H", configuration, position)
            position += 2 + size
            if size > 2:
                yield configuration[position - size : position]


def _units(stream: bytes, length_size: int, parts: Parts) -> Iterator[bytes]:
    """The first bytes of each NAL unit."""
    position = 0
    while position + length_size <= len(stream):
        parts.count()
        size = int.from_bytes(stream[position : position + length_size], "big")
        position += length_size
        if size > 2:
            yield stream[position : position + min(size, 256)]
        position += size


def _sps_size(unit: bytes) -> tuple[int, int]:
    bits = _Bits(unit[2:256].replace(b"\0\0\3", b"\0\0"))
    bits.take(4)
    sub_layers = bits.take(3)
    bits.take(1 + 96)
    present = [(bits.take(1), bits.take(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.take(2 * (8 - sub_layers))
    for profile, level in present:
        bits.take(88 * profile + 8 * level)
    bits.exp_golomb()
    if bits.exp_golomb() == 3:
        bits.take(1)
    return bits.exp_golomb(), bits.exp_golomb()


# AV1 (AV1 Bitstream & Decoding Process Specification)
_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6
_REDUCED_HEADER = 0x08  # of the first byte of a sequence header: every frame is shown
_SHOW_EXISTING_FRAME, _SHOW_FRAME = 0x80, 0x10  # of the first byte of a frame header


def check_av1(stream: bytes, pixels: int, parts: Parts) -> None:
    """As `check_hevc`, for the data of an AV1 item.

    A frame that is not shown is as much work as one that is, and an image has none.
    """
    frames = 0
    all_shown = False
    for kind, unit in _obus(stream, parts):
        if kind == _SEQUENCE_HEADER:
            width, height = _sequence_size(unit)
            if width * height > pixels:
                raise InvalidImage("the coded image is larger than the file says")
            all_shown = bool(unit[0] & _REDUCED_HEADER)
        elif kind in (_FRAME_HEADER, _FRAME):
            frames += 1
            if not (all_shown or unit[0] & (_SHOW_EXISTING_FRAME | _SHOW_FRAME)):
                raise InvalidImage("a coded image in the file has hidden frames")
    if frames > _MAX_LAYERS:
        raise InvalidImage("a coded image in the file is a sequence")


def _obus(stream: bytes, parts: Parts) -> Iterator[tuple[int, bytes]]:
    """Type and first bytes of each open bitstream unit."""
    position = 0
    while position < len(stream):
        parts.count()
        head = stream[position]
        position += 2 if head & 4 else 1
        size = len(stream) - position
        if head & 2:
            size = shift = 0
            for _ in range(8):
                byte = stream[position]
                position += 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80:
                    break
        yield head >> 3 & 15, stream[position : position + min(size, 256)]
        position += size


def _sequence_size(unit: bytes) -> tuple[int, int]:
    bits = _Bits(unit)
    bits.take(4)  # seq_profile, still_picture
    if bits.take(1):  # a reduced header
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def _skip_operating_points(bits: _Bits) -> None:
    decoder_model = False
    delay_bits = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):
            bits.exp_golomb()
        decoder_model = bool(bits.take(1))
        if decoder_model:
            delay_bits = bits.take(5) + 1
            bits.take(42)
    initial_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if decoder_model and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if initial_delay and bits.take(1):
            bits.take(4)
