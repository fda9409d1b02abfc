import errno
import hashlib
import os
from collections import namedtuple
from pathlib import Path

import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.download import NoSpace, download
from rmbg_service.models.spec import Weights
from tests.models.file_server import FileServer

DATA = os.urandom(300_000)
WEIGHTS = Weights(sha256=hashlib.sha256(DATA).hexdigest(), size_bytes=len(DATA))
USAGE = namedtuple("USAGE", "total used free")


def fetch(host: FileServer, target: Path, weights: Weights = WEIGHTS) -> list[int]:
    """Download `/file`; the reported progress."""
    done: list[int] = []
    download(f"{host.url}/file", target, weights, lambda at, _: done.append(at))
    return done


def refusal(host: FileServer, target: Path, weights: Weights = WEIGHTS) -> str:
    """The one line with which a download ends; nothing has the file's name then."""
    with pytest.raises(ConfigurationError) as caught:
        fetch(host, target, weights)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    return str(caught.value)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "file"


def leftovers(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()} - {f".{target.name}.lock"}


def test_a_file_is_fetched_whole_and_once(host: FileServer, target: Path) -> None:
    host.files["/file"] = DATA
    assert fetch(host, target)[-1] == len(DATA)
    assert target.read_bytes() == DATA
    assert leftovers(target) == {"file"}
    fetch(host, target)
    assert host.asked == [("/file", None)]


def test_redirects_are_followed(host: FileServer, target: Path) -> None:
    host.redirects = {"/file": "/elsewhere", "/elsewhere": f"{host.url}/cdn"}
    host.files["/cdn"] = DATA
    fetch(host, target)
    assert target.read_bytes() == DATA


def test_a_host_that_wants_a_user_agent_gets_one(host: FileServer, target: Path) -> None:
    host.needs_user_agent = True
    host.files["/file"] = DATA
    fetch(host, target)
    assert target.read_bytes() == DATA


def test_a_cut_connection_is_resumed_where_it_ended(host: FileServer, target: Path) -> None:
    host.files["/file"] = DATA
    host.cuts = [270_000, 10_000]
    fetch(host, target)
    assert target.read_bytes() == DATA
    assert host.asked == [
        ("/file", None),
        ("/file", "bytes=270000-"),
        ("/file", "bytes=280000-"),
    ]


def test_another_process_resumes_what_one_left_behind(host: FileServer, target: Path) -> None:
    host.files["/file"] = DATA
    target.parent.mkdir()
    target.with_name(".file.part").write_bytes(DATA[:100_000])
    fetch(host, target)
    assert target.read_bytes() == DATA
    assert host.asked == [("/file", "bytes=100000-")]


def test_a_host_without_ranges_sends_all_of_it_again(host: FileServer, target: Path) -> None:
    host.files["/file"] = DATA
    host.ranges = False
    host.cuts = [100_000]
    fetch(host, target)
    assert target.read_bytes() == DATA


def test_a_whole_file_that_was_not_renamed_is_not_fetched_again(
    host: FileServer, target: Path
) -> None:
    host.files["/file"] = DATA
    target.parent.mkdir()
    target.with_name(".file.part").write_bytes(DATA)
    fetch(host, target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("size", [1_000, len(DATA), len(DATA) + 5])
def test_the_beginning_of_another_file_is_thrown_away(
    host: FileServer, target: Path, size: int
) -> None:
    host.files["/file"] = DATA
    target.parent.mkdir()
    target.with_name(".file.part").write_bytes(b"x" * size)
    fetch(host, target)
    assert target.read_bytes() == DATA


def test_a_connection_that_never_gets_further_is_given_up(host: FileServer, target: Path) -> None:
    host.files["/file"] = DATA
    host.cuts = [1_000] + [0] * 10
    assert "could not be fetched: peer closed connection" in refusal(host, target)
    host.cuts = []
    fetch(host, target)  # the next call goes on
    assert host.asked[-1] == ("/file", "bytes=1000-")


def test_other_bytes_are_refused_and_not_kept(host: FileServer, target: Path) -> None:
    host.files["/file"] = other = DATA[:-1] + bytes([DATA[-1] ^ 1])
    message = refusal(host, target)
    assert f"expected sha256 {WEIGHTS.sha256}" in message
    assert f"got {hashlib.sha256(other).hexdigest()}" in message
    assert leftovers(target) == set()


def test_an_md5_is_enough(host: FileServer, target: Path) -> None:
    host.files["/file"] = DATA
    weights = Weights(md5=hashlib.md5(DATA).hexdigest())
    fetch(host, target, weights)
    assert "expected md5 00" in refusal(host, target.with_name("b"), Weights(md5="00"))


def test_a_file_of_another_size_is_refused_before_it_is_fetched(
    host: FileServer, target: Path
) -> None:
    host.files["/file"] = DATA[:1000]
    assert "expected 300000 bytes, got 1000" in refusal(host, target)
    assert leftovers(target) == set()


def test_a_login_page_is_not_a_file(host: FileServer, target: Path) -> None:
    host.files["/file"] = b"<html>"
    host.headers = {"content-type": "text/html; charset=utf-8"}
    assert "a web page, not a file" in refusal(host, target)


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_refusal_is_one_line(host: FileServer, target: Path, status: int) -> None:
    host.refusals = [status]
    assert f"answered {status}" in refusal(host, target)


def test_a_host_that_is_not_there_is_asked_once(target: Path) -> None:
    nowhere = FileServer("http://127.0.0.1:9")
    assert "could not be fetched" in refusal(nowhere, target)


def test_a_full_disk_is_known_before_the_first_byte(
    host: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.files["/file"] = DATA
    monkeypatch.setattr("shutil.disk_usage", lambda _: USAGE(1e9, 1e9, 200_000))
    with pytest.raises(NoSpace, match="no space left: 0 MB needed, 0 MB free"):
        fetch(host, target)
    assert leftovers(target) == set()


def test_a_disk_that_fills_up_is_one_line(
    host: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.files["/file"] = DATA

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(NoSpace, match="No space left on device; RMBG_MODEL_DIR names another"):
        download(f"{host.url}/file", target, WEIGHTS, full)
    assert not target.exists()
    fetch(host, target)
    assert target.read_bytes() == DATA


def test_without_a_digest_what_another_call_left_is_not_continued(
    host: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing would tell whether it was the beginning of the same file."""
    monkeypatch.setattr("rmbg_service.models.download.require_secure", lambda *_: None)
    host.files["/file"] = DATA
    target.parent.mkdir()
    target.with_name(".file.part").write_bytes(b"x" * 1000)
    fetch(host, target, Weights())
    assert target.read_bytes() == DATA


def test_without_a_digest_a_file_comes_over_https_only(
    host: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.redirects = {"/file": "/elsewhere"}
    host.files["/elsewhere"] = DATA
    assert refusal(host, target, Weights()).endswith(f"over https only, not from {host.url}/file")
    assert leftovers(target) == set()
    asked: list[str] = []
    monkeypatch.setattr(
        "rmbg_service.models.download.require_secure", lambda url, _: asked.append(url)
    )
    fetch(host, target, Weights())
    assert asked == [f"{host.url}/file", f"{host.url}/elsewhere"]  # every step is looked at
