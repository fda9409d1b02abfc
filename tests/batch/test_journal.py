from pathlib import Path

import pytest

from rmbg_service.batch.journal import FILE_NAME, Ledger, wish
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
    Ledger(folder).add(
        output, Path("in/a.jpg"), content=SOURCE, wanted="w", data=data, box=Box(1, 2, 3, 4)
    )
    return output


def test_a_finished_output_is_found_by_content_and_wish(tmp_path: Path) -> None:
    output = done(tmp_path, "sub/a.png")
    ledger = Ledger(tmp_path)
    entry = ledger.find(output, SOURCE, "w")
    assert entry is not None
    assert entry.box == Box(1, 2, 3, 4)
    assert ledger.owners == {"sub/a.png": str(Path("in/a.jpg").absolute())}
    assert ledger.find(output, digest(b"another photo"), "w") is None
    assert ledger.find(output, SOURCE, "other options") is None
    assert ledger.find(tmp_path / "b.png", SOURCE, "w") is None
    assert Ledger(tmp_path, skip=False).find(output, SOURCE, "w") is None


def test_an_output_that_was_changed_or_deleted_does_not_count(tmp_path: Path) -> None:
    output = done(tmp_path)
    output.write_bytes(b"CUTOUT")
    assert Ledger(tmp_path).find(output, SOURCE, "w") is None
    output.unlink()
    assert Ledger(tmp_path).find(output, SOURCE, "w") is None


TEXTS = b'"input": "i", "source": "s", "wanted": "w", "written": "d", "box": null}\n'


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
    ledger = Ledger(tmp_path)
    assert ledger.find(first, SOURCE, "w")
    assert ledger.find(second, SOURCE, "w")
    assert len(ledger.owners) == 2


def test_a_list_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ConfigurationError, match=FILE_NAME):
        Ledger(tmp_path)


def test_the_last_line_counts(tmp_path: Path) -> None:
    done(tmp_path)
    output = done(tmp_path, data=b"new cutout")
    assert Ledger(tmp_path).find(output, SOURCE, "w")


def test_names_that_are_no_text_survive(tmp_path: Path) -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    try:
        output = done(tmp_path, name)
    except OSError:
        pytest.skip("this file system has only text names")
    assert Ledger(tmp_path).find(output, SOURCE, "w")


def test_a_wish_differs_when_anything_in_it_does() -> None:
    plain = RemovalOptions()
    wishes = {
        wish(plain, None, "u2netp"),
        wish(plain, None, "BiRefNet"),
        wish(plain, b"beach", "u2netp"),
        wish(RemovalOptions(crop=True), None, "u2netp"),
    }
    assert len(wishes) == 4
    assert wish(RemovalOptions(crop=False), None, "u2netp") in wishes
