import os
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from rmbg_service.errors import ImageTooLarge, InvalidImage
from rmbg_service.imaging.probe import FORMATS
from rmbg_service.system.files import IMAGE_SUFFIXES, digest, file_digest, read_bounded


def test_reading_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(ImageTooLarge, match="4 bytes"):
        read_bounded(path, 4)
    path.write_bytes(b"")
    with pytest.raises(InvalidImage, match="empty"):
        read_bounded(path, 4)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.jpg")
    with pytest.raises(InvalidImage):
        read_bounded(tmp_path / "b.jpg", 10)


def test_both_digests_agree(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"12345")
    assert file_digest(path) == digest(b"12345")


def test_the_suffixes_of_every_accepted_format_are_known() -> None:
    pillow_heif.register_heif_opener()
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    assert len(known) > 12
    assert known <= IMAGE_SUFFIXES
