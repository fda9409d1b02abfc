from pathlib import Path

import pytest

from rmbg_service.batch.journal import FILE_NAME, Journal, options_fingerprint
from rmbg_service.errors import ConfigurationError
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.system.files import digest
from rmbg_service.types import Box

SOURCE = digest(b"photo")


def done(folder: Path, name: str = "a.png", data: bytes = b"cutout") -> Path:
    """A finished output with its line."""
    output = folder / name
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(data)
    Journal(folder).add(
        output,
        Path("in/a.jpg"),
        input_sha256=SOURCE,
        fingerprint="w",
        data=data,
        box=Box(1, 2, 3, 4),
    )
    return output


def test_a_finished_output_is_found_by_content_and_fingerprint(tmp_path: Path) -> None:
    output = done(tmp_path, "sub/a.png")
    journal = Journal(tmp_path)
    entry = journal.find(output, SOURCE, "w")
    assert entry is not None
    assert entry.box == Box(1, 2, 3, 4)
    assert journal.owners == {"sub/a.png": str(Path("in/a.jpg").absolute())}
    assert journal.find(output, digest(b"another photo"), "w") is None
    assert journal.find(output, SOURCE, "other options") is None
    assert journal.find(tmp_path / "b.png", SOURCE, "w") is None
    assert Journal(tmp_path, skip=False).find(output, SOURCE, "w") is None


def test_an_output_that_was_changed_or_deleted_does_not_count(tmp_path: Path) -> None:
    output = done(tmp_path)
    output.write_bytes(b"CUTOUT")
    assert Journal(tmp_path).find(output, SOURCE, "w") is None
    output.unlink()
    assert Journal(tmp_path).find(output, SOURCE, "w") is None


TEXTS = (
    b'"input": "i", "input_sha256": "s", "fingerprint": "w", "output_sha256": "d", "box": null}\n'
)


@pytest.mark.parametrize(
    "torn",
    [
        b'{"output": "b.p',
        b"[]\n",
        b"\xff\xfe\n",
        b'{"output": 1}\n',
        b'{"output": 5, ' + TEXTS,
        b'{"output": ["b.png"], ' + TEXTS,
        b"[" * 200_000 + b"\n",
    ],
)
def test_what_a_killed_process_left_is_passed_over(tmp_path: Path, torn: bytes) -> None:
    first = done(tmp_path)
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(torn)
    second = done(tmp_path, "c.png")
    journal = Journal(tmp_path)
    assert journal.find(first, SOURCE, "w")
    assert journal.find(second, SOURCE, "w")
    assert len(journal.owners) == 2


def test_a_list_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ConfigurationError, match=FILE_NAME):
        Journal(tmp_path)


def test_the_last_line_counts(tmp_path: Path) -> None:
    done(tmp_path)
    output = done(tmp_path, data=b"new cutout")
    assert Journal(tmp_path).find(output, SOURCE, "w")


def test_names_that_are_no_text_survive(tmp_path: Path) -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    try:
        output = done(tmp_path, name)
    except OSError:
        pytest.skip("this file system has only text names")
    assert Journal(tmp_path).find(output, SOURCE, "w")


def test_a_fingerprint_differs_when_anything_in_it_does() -> None:
    plain = RemovalOptions()
    fingerprints = {
        options_fingerprint(plain, {}, "u2netp"),
        options_fingerprint(plain, {}, "BiRefNet"),
        options_fingerprint(plain, {"background_image": b"beach"}, "u2netp"),
        options_fingerprint(RemovalOptions(crop=True), {}, "u2netp"),
    }
    assert len(fingerprints) == 4
    assert options_fingerprint(RemovalOptions(crop=False), {}, "u2netp") in fingerprints
