"""Headers: what is counted before a decoder sees a file, and what is let through."""

import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from rmbg_service.errors import EmptyImage, ImageTooLarge, InvalidImage, UnknownFormat
from rmbg_service.imaging import decode as decode_module
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.source import ImageInfo
from tests.hostile.images import many_scans, mpo_of_many_scans, ramp, saved, segments, with_scans

LIMIT = 50_000_000


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width), np.uint8))


def test_a_side_may_be_limited() -> None:
    data = saved(Image.new("1", (3000, 2)), "PNG")
    assert probe(data, LIMIT, max_side=3000).width == 3000
    with pytest.raises(ImageTooLarge, match="a side may have at most 2,999"):
        probe(data, LIMIT, max_side=2999)


def test_a_picture_without_pixels_is_refused() -> None:
    data = bytearray(saved(ramp(8, 8), "JPEG"))
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 2] = bytes(2)
    with pytest.raises(EmptyImage):
        probe(bytes(data), LIMIT)


@pytest.mark.parametrize("data", [b"", b"\xff", b"RIFF", b"II*", b"text", bytes(1000)])
def test_what_is_not_an_image_is_of_unknown_format(data: bytes) -> None:
    with pytest.raises(UnknownFormat, match="accepted formats: JPEG"):
        probe(data, LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF"])
def test_every_beginning_of_a_file_is_read_or_refused(kind: str) -> None:
    data = saved(ramp(32, 32), kind)
    for end in range(min(len(data), 600)):
        with contextlib.suppress(InvalidImage):
            assert probe(data[:end], LIMIT).width == 32


def test_scans_count_by_their_pixels() -> None:
    small = many_scans(64, 64, 80)
    assert decode(small, probe(small, LIMIT)).rgb.shape == (64, 64, 3)
    with pytest.raises(InvalidImage, match="too many scans"):
        probe(many_scans(64, 64, 101), LIMIT)
    large = many_scans(7000, 7000, 5)
    assert probe(large, LIMIT).pixels == 49_000_000
    with pytest.raises(InvalidImage, match="too many scans"):
        probe(many_scans(7000, 7000, 15), LIMIT)


def test_scans_of_a_sequential_file_count_too() -> None:
    jpeg = saved(ramp(64, 64), "JPEG")
    scan = jpeg.index(b"\xff\xda")
    one = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + jpeg[scan + 14 : -2]
    with pytest.raises(InvalidImage, match="too many scans"):
        probe(with_scans(jpeg[:scan] + one + jpeg[-2:], 200), LIMIT)


def test_the_first_picture_of_several_is_counted_and_no_other() -> None:
    with pytest.raises(InvalidImage, match="too many scans"):
        probe(mpo_of_many_scans(200), LIMIT)
    one = saved(ramp(64, 64), "JPEG", progressive=True)
    assert probe(one + many_scans(64, 64, 400), LIMIT) == ImageInfo("jpeg", 64, 64)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_what_phones_put_into_and_behind_a_jpeg_is_skipped(options: dict[str, bool]) -> None:
    picture = ramp(64, 64)
    plain = saved(picture, "JPEG", **options)
    expected = decode(plain, probe(plain, LIMIT)).rgb
    raw = b"\xff\xe4\xff\xff" + b"\xff\xda\x00\x01" * 16383 + b"\xff"  # looks like scans
    motion_photo = (
        plain[:2] + raw * 60 + plain[2:] + b"\0\0\0\x18ftypmp42" + b"\xff\xda" * 4_000_000
    )
    source = decode(motion_photo, probe(motion_photo, LIMIT))
    assert (source.rgb == expected).all()


def test_metadata_in_thousands_of_segments_is_dropped_and_more_is_refused() -> None:
    data = segments(0xE1, b"Exif\0\0" + bytes(100), 6_000)
    assert decode(data, probe(data, LIMIT)).rgb.shape == (64, 64, 3)
    with pytest.raises(InvalidImage, match="too many parts"):
        probe(segments(0xE1, b"", 70_000), LIMIT)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_gif_of_megabytes_is_an_ordinary_one(frames: int) -> None:
    picture = noise(2400, 1600)
    more = {"save_all": True, "append_images": [noise(8, 8)]} if frames == 2 else {}
    data = saved(picture, "GIF", **more)
    assert len(data) > 3_000_000
    info = probe(data, LIMIT)
    assert info == ImageInfo("gif", 2400, 1600, animated=frames == 2)
    assert (decode(data, info).rgb[..., 0] == np.asarray(picture)).all()


def test_a_gif_that_is_cut_anywhere_is_refused_or_shown() -> None:
    frames = [ramp(24, 16).quantize(8), ramp(24, 16).rotate(90).quantize(8)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    whole = decode(data, probe(data, LIMIT)).rgb
    shown = 0
    for end in range(len(data)):
        try:
            source = decode(data[:end], probe(data[:end], LIMIT))
        except InvalidImage:
            continue
        shown += 1
        assert (source.rgb == whole).all()
    assert shown > 50, "the second frame does not matter"


def test_a_gif_whose_pixels_are_all_there_needs_no_end() -> None:
    picture = noise(40, 40)
    data = saved(picture, "GIF")
    end = b"\x01\x01\0;"  # the code of 12 bits that ends the pixels, their last block, the file
    assert data.endswith(end)
    for missing in range(1, len(end) + 1):
        cut = data[:-missing]
        assert (decode(cut, probe(cut, LIMIT)).rgb[..., 0] == np.asarray(picture)).all()
    cut = data[: -len(end) - 2]  # and now the last pixel
    with pytest.raises(InvalidImage, match="truncated"):
        decode(cut, probe(cut, LIMIT))


def raises(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "error", [KeyError("x"), OverflowError(), RuntimeError("codec"), SyntaxError()]
)
def test_what_a_decoder_raises_is_the_file_s_fault(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(ramp(8, 8), "PNG")
    monkeypatch.setitem(decode_module._DECODERS, "png", raises(error))
    with pytest.raises(InvalidImage, match="the png file"):
        decode(data, probe(data, LIMIT))


def test_missing_memory_is_not_the_file_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(ramp(8, 8), "PNG")
    monkeypatch.setitem(decode_module._DECODERS, "png", raises(MemoryError()))
    with pytest.raises(MemoryError):
        decode(data, probe(data, LIMIT))


def test_the_reason_of_a_refusal_is_told() -> None:
    data = bytearray(saved(ramp(8, 8), "PNG"))
    data[25] = 7  # a colour type that does not exist
    with pytest.raises(InvalidImage, match="the png file cannot be decoded: broken PNG"):
        decode(bytes(data), probe(bytes(data), LIMIT))
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "TIFF")
    tiff = buffer.getvalue().replace(
        b"\x03\x01\x03\x00\x01\x00\x00\x00\x01", b"\x03\x01\x03\x00\x01\x00\x00\x00\x09"
    )
    with pytest.raises(InvalidImage, match="tiff compression 9 is not supported"):
        decode(tiff, probe(tiff, LIMIT))
