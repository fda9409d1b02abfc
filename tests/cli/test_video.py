"""`rmbg-service remove` for a clip."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from rmbg_service.cli import app
from rmbg_service.cli.video import _OUTPUT_SUFFIXES
from rmbg_service.errors import ConfigurationError
from rmbg_service.types import Matte, ModelInput
from rmbg_service.video.writer import KINDS
from tests.fakes import FakePredictor
from tests.video.clips import TIMES, read, write_clip, write_transparent


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["remove", *map(str, arguments)])


def use(monkeypatch: pytest.MonkeyPatch, predictor: FakePredictor) -> None:
    monkeypatch.setattr("rmbg_service.cli.video.select_predictor", lambda _: predictor)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4")


def test_a_clip_goes_where_it_is_told(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakePredictor())
    for name in ("a.webm", "deep/a.mov"):
        result = invoke(clip, "-o", tmp_path / "out" / name, "--json", "--detail", "off")
        assert result.exit_code == 0, result.output
        assert len(read(tmp_path / "out" / name).frames) == len(TIMES)
        line = json.loads(result.stdout)
        assert (line["status"], line["output"]) == ("done", str(tmp_path / "out" / name))
    for out, first in [("frames", "frame-00001.png"), ("own/f%02d.png", "f01.png")]:
        assert invoke(clip, "-o", tmp_path / out).exit_code == 0
        folder = tmp_path / out.partition("/")[0]
        assert sorted(path.name for path in folder.iterdir())[0] == first
        assert len(list(folder.iterdir())) == len(TIMES)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.webp"])
def test_a_clip_on_a_colour(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    use(monkeypatch, FakePredictor())
    result = invoke(clip, "-o", tmp_path / name, "--background", "#3366cc", "--detail", "off")
    assert result.exit_code == 0, result.output
    assert f"{len(TIMES)} frames in " in result.stderr
    assert result.stderr.rstrip().endswith("s each")
    for frame in read(tmp_path / name).frames:
        assert np.abs(frame[32, -10, :3].astype(int) - (0x33, 0x66, 0xCC)).max() <= 12


def test_the_suffixes_are_those_that_can_be_written() -> None:
    assert set(KINDS) == _OUTPUT_SUFFIXES


def test_a_failure_leaves_nothing_half_and_the_status_1(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(FakePredictor):
        def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
            if len(self.predicted) == 2:
                raise ConfigurationError("the device is lost")
            return super().predict(batch)

    use(monkeypatch, Failing())
    result = invoke(clip, "-o", tmp_path / "out" / "a.webm", "--detail", "off")
    assert result.exit_code == 1
    assert "the device is lost" in result.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_ctrl_c_leaves_nothing_half_and_the_status_130(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(FakePredictor):
        def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
            raise KeyboardInterrupt

    use(monkeypatch, Interrupted())
    result = invoke(clip, "-o", tmp_path / "out" / "a.webm")
    assert result.exit_code == 130
    assert "interrupted: nothing is written" in result.stderr
    assert list((tmp_path / "out").iterdir()) == []
    assert "--force replaces them" in invoke(clip, "-o", tmp_path / "frames").stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["clip.mp4", "b.jpg", "-o", "a.webm"], "must be the only input"),
        (["a.jpg", "b.mp4", "c.jpg"], "b.mp4 is a video"),
        (
            ["clip.mp4", "-o", "a.webm", "--server", "http://x"],
            "not available for a video: --server",
        ),
        (["clip.mp4", "-o", "a.webm", "--watch"], "not available for a video: --watch"),
        (["clip.mp4", "-o", "a.webm", "--crop", "--max-side", "9"], "--crop, --max-side"),
        (["clip.mp4"], "name the output with -o"),
        (["clip.mp4", "-o", "a.png"], "name the output with -o"),
        (["clip.mp4", "-o", "a%d-%d.png"], "name the output with -o"),
        (["clip.mp4", "-o", "a.avi"], "written to .gif, .mov, .mp4, .webm, .webp or .png frames"),
    ],
)
def test_a_command_line_that_cannot_be_is_refused(arguments: list[str], says: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.replace("│", " ").split())


def test_frames_that_exist_are_not_mixed_with_others(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakePredictor())
    out = tmp_path / "frames"
    out.mkdir()
    for name in ("frame-00002.png", "frame-00009.png", "frame-9.png", "notes.txt"):
        (out / name).write_bytes(b"another clip")
    refused = invoke(clip, "-o", out)
    assert "--force" in str(refused.exception)
    assert (out / "frame-00002.png").read_bytes() == b"another clip"
    assert invoke(clip, "-o", out, "--force").exit_code == 0
    frames = [f"frame-{number:05d}.png" for number in range(1, len(TIMES) + 1)]
    assert sorted(path.name for path in out.iterdir()) == [*frames, "frame-9.png", "notes.txt"]
    assert (out / "frame-00002.png").read_bytes() != b"another clip"


def test_a_place_that_cannot_be_written_is_a_failure_and_no_traceback(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakePredictor())
    (tmp_path / "file").touch()
    for name in ("a.webm", "f%d.png"):
        result = invoke(clip, "-o", tmp_path / "file" / name, "--json")
        assert result.exit_code == 1
        assert "cannot be written" in json.loads(result.stdout)["error"]


def test_a_folder_is_not_the_name_of_a_file(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "a.webm").mkdir()
    result = invoke(clip, "-o", tmp_path / "a.webm")
    assert result.exit_code == 2
    assert "is a folder; expected the name of a .webm file" in " ".join(result.stderr.split())


def test_a_clip_is_not_replaced_by_itself(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mov")
    before = clip.read_bytes()
    assert invoke(clip, "-o", clip).exit_code == 2
    assert clip.read_bytes() == before


def test_without_pyav_it_says_how_to_get_it(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("rmbg_service.video.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "av", None)
    result = invoke(clip, "-o", tmp_path / "a.webm")
    assert "'.[video]'" in str(result.exception)


@pytest.mark.parametrize("suffix", [".m2ts", ".3gp", ".wmv", ".flv", ".gif", ".unknown"])
def test_a_clip_of_any_container_is_an_input(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakePredictor())
    if suffix == ".gif":
        clip = write_transparent(tmp_path / "a.gif", "gif", "rgb8", [None] * len(TIMES))
    else:
        made = {".wmv": ".asf", ".unknown": ".mkv"}.get(suffix, suffix)
        clip = write_clip(tmp_path / f"a{made}").rename(tmp_path / f"a{suffix}")
    result = invoke(clip, "-o", tmp_path / "b.webm", "--detail", "off")
    assert result.exit_code == 0, result.output
    assert len(read(tmp_path / "b.webm").frames) == len(TIMES)


@pytest.mark.parametrize("name", ["a.wmv", "a.gif", "a.unknown", "missing.gif"])
def test_an_input_that_is_no_clip_is_named_as_the_reason(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakePredictor())
    if name != "missing.gif":
        (tmp_path / name).write_bytes(b"nothing of the kind" * 100)
    result = invoke(tmp_path / name, "-o", tmp_path / "b.webm", "--json")
    assert result.exit_code == 1
    line = json.loads(result.stdout)
    assert line["input"] == str(tmp_path / name)
    assert "the video cannot be read" in line["error"]
