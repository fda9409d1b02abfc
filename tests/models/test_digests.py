import hashlib
import json
import os
from pathlib import Path

import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import digests as module
from rmbg_service.models.catalog import EMBEDDED
from rmbg_service.models.digests import Digests, digests, identify
from rmbg_service.models.spec import Weights
from rmbg_service.models.store import EMBEDDED_PATH


def test_both_digests_are_computed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"weights")
    expected = hashlib.sha256(b"weights").hexdigest(), hashlib.md5(b"weights").hexdigest()
    assert digests(path) == expected


def test_a_digest_is_computed_once_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, memory = tmp_path / "file", tmp_path / "digests.json"
    path.write_bytes(b"weights")
    first = digests(path, memory)
    with monkeypatch.context() as patched:
        patched.setattr(module, "_compute", None)
        assert digests(path, memory) == first
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(1, 1))
    assert digests(path, memory).sha256 == hashlib.sha256(b"WEIGHTS").hexdigest()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', '{"PATH": [[1], 2, 3]}'])
def test_a_damaged_memory_is_written_anew(tmp_path: Path, content: str) -> None:
    path, memory = tmp_path / "file", tmp_path / "digests.json"
    path.write_bytes(b"weights")
    memory.write_text(content.replace("PATH", str(path)))
    expected = digests(path)
    assert digests(path, memory) == expected
    assert json.loads(memory.read_text())[str(path)][1:] == list(expected)


def test_a_memory_that_cannot_be_written_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"weights")
    assert digests(path, path / "below-a-file" / "digests.json") == digests(path)


def test_the_memory_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    memory = tmp_path / "digests.json"
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(name.encode())
        digests(tmp_path / name, memory)
    assert [Path(key).name for key in json.loads(memory.read_text())] == ["b", "c"]


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="absent cannot be read: No such file"):
        digests(tmp_path / "absent")


@pytest.mark.parametrize(
    ("weights", "fit"),
    [
        (Weights(), True),
        (Weights(sha256="a"), True),
        (Weights(md5="b"), True),
        (Weights(sha256="x"), False),
        (Weights(md5="x"), False),
        (Weights(sha256="a", md5="x"), True),
    ],
)
def test_digests_fit_what_is_known(weights: Weights, fit: bool) -> None:
    assert Digests("a", "b").fit(weights) is fit


def test_bytes_are_known_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "renamed.onnx"
    path.write_bytes(EMBEDDED_PATH.read_bytes())
    assert identify(path) is EMBEDDED
    path.write_bytes(b"other")
    assert identify(path) is None
