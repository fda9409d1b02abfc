import errno
import os
from pathlib import Path

import pytest

from rmbg_service.system.stdout import try_to_write


def test_what_can_be_written_is_written_at_once(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as stream:
        assert try_to_write(stream, "one\n") is None
        assert (tmp_path / "file").read_text() == "one\n"


def test_without_a_reader_the_stream_leads_nowhere_and_can_be_closed() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        assert isinstance(try_to_write(stream, "one\n"), BrokenPipeError)
        assert try_to_write(stream, "two\n") is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_is_told() -> None:
    with Path("/dev/full").open("w") as stream:
        error = try_to_write(stream, "one\n")
        assert error is not None
        assert error.errno == errno.ENOSPC
        assert try_to_write(stream, "two\n") is None
