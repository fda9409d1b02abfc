"""The structure of a GIF file (GIF89a)."""

import struct

from rmbg_service.errors import InvalidImage
from rmbg_service.imaging.formats.header import Header
from rmbg_service.types import Box

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL = 0xF9
_MAX_BLOCKS = 250_000  # of 255 bytes each they are 64 MB
_SCREEN, _DESCRIPTOR = 13, 10  # sizes in bytes


def read_gif(data: bytes) -> Header:
    """Read a GIF file up to its second frame; the decoder is given the first one alone.

    The canvas grows where a first frame reaches beyond it, as in browsers.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = _SCREEN + _table_bytes(flags)
    blocks = 0
    control = b""
    frame: slice | None = None
    animated = False
    while position < len(data) and data[position] != _TRAILER:
        kind = data[position]
        blocks += 1
        if kind == _IMAGE and frame is not None:
            animated = True
            break
        end = position + 1  # stray bytes between blocks are skipped
        if kind == _EXTENSION:
            end, blocks = _after_blocks(data, position + 2, blocks)
            if frame is None and data[position + 1 : position + 3] == bytes((_GRAPHIC_CONTROL, 4)):
                control = data[position:end]
        elif kind == _IMAGE:
            body = position + _DESCRIPTOR + _table_bytes(data[position + 9])
            end, blocks = _after_blocks(data, body + 1, blocks)
            frame = slice(position, end)
        elif blocks > _MAX_BLOCKS:
            raise InvalidImage("the gif file has too many blocks")
        position = end
    if frame is None:
        raise InvalidImage("the gif file has no image")
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, frame.start + 1)
    box = Box(left, top, left + frame_width, top + frame_height)
    width, height = max(width, box.right), max(height, box.bottom)
    return Header(
        "gif",
        width,
        height,
        lambda: _frame_alone(data, control, frame),
        animated=animated,
        frame=None if box == (0, 0, width, height) else box,
    )


def _table_bytes(flags: int) -> int:
    """The size of the colour table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, position: int, blocks: int) -> tuple[int, int]:
    """Where a chain of sub-blocks ends, and how many blocks there have been by then."""
    try:
        while size := data[position]:
            position += size + 1
            blocks += 1
            if blocks > _MAX_BLOCKS:
                raise InvalidImage("the gif file has too many blocks")
    except IndexError:  # cut short: the decoder decides whether the image is complete
        return len(data), blocks
    return position + 1, blocks


def _frame_alone(data: bytes, control: bytes, frame: slice) -> bytes:
    """A GIF of the frame's own size that holds nothing else."""
    descriptor = data[frame.start : frame.start + _DESCRIPTOR]
    screen = data[:6] + descriptor[5:9] + data[10:_SCREEN]
    colours = data[_SCREEN : _SCREEN + _table_bytes(data[10])]
    at_origin = descriptor[:1] + bytes(4) + descriptor[5:]
    body = frame.start + _DESCRIPTOR + _table_bytes(data[frame.start + 9])
    table = data[frame.start + _DESCRIPTOR : body + 1]  # and the code size behind it
    blocks = data[body + 1 : frame.stop]
    if frame.stop == len(data):
        blocks = _ended(blocks)
    return b"".join((screen, colours, control, at_origin, table, blocks, bytes((_TRAILER,))))


def _ended(blocks: bytes) -> bytes:
    """The chain of sub-blocks with its end; where the file was cut, the last one is shortened.

    Decoders read whole sub-blocks, but all pixels may be there without the last few bytes.
    """
    position = 0
    while position < len(blocks) and (size := blocks[position]):
        left = len(blocks) - position - 1
        if size > left:
            return blocks[:position] + bytes((left,)) + blocks[position + 1 :] + bytes(1)
        position += size + 1
    return blocks if position < len(blocks) else blocks + bytes(1)
