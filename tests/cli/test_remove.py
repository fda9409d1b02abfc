"""`rmbg-service remove` as a user starts it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import fsspec
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from rmbg_service.cli import app, main
from rmbg_service.errors import ConfigurationError, NoMattingModel
from tests.evaluation.data import make_dataset
from tests.fakes import FakePredictor, picture_bytes
from tests.server import running_server

ROOT = Path(__file__).parents[2]


def invoke(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["remove", *map(str, arguments)], input=stdin)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.png").write_bytes(picture_bytes((50 + number, 40)))
    return folder


@pytest.fixture
def fake_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmbg_service.batch.batch.select_predictor", lambda _: FakePredictor())


@contextmanager
def started(*arguments: str | Path) -> Iterator["subprocess.Popen[str]"]:
    """The gated command, its files told on stdout; a line on stdin lets one prediction go."""
    process = subprocess.Popen(
        [sys.executable, "tests/cli/gated_remove.py", "remove", *map(str, arguments), "--json"],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "RMBG_CODEC_THREADS": "1", "NO_COLOR": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def let(process: "subprocess.Popen[str]", predictions: int) -> None:
    stdin = stream(process.stdin)
    stdin.write("\n" * predictions)
    stdin.flush()


def stream(one: IO[str] | None) -> IO[str]:
    assert one is not None
    return one


def told(text: str) -> list[tuple[str, str]]:
    records = [json.loads(line) for line in text.splitlines()]
    return sorted((Path(record["input"]).name, record["status"]) for record in records)


def interrupt(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Send the signal and wait until it has come to the command."""
    process.send_signal(number)
    assert stream(process.stderr).readline().startswith("stopping")


@pytest.mark.usefixtures("fake_model")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_half_way_and_run_again_only_the_rest_is_done(
    photos: Path, tmp_path: Path, number: signal.Signals
) -> None:
    command = (photos, "-o", tmp_path / "out", "--detail", "off")
    with started(*command) as process:
        let(process, 3)
        first = "".join(stream(process.stdout).readline() for _ in range(3))
        interrupt(process, number)
        let(process, 8)
        rest, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number
    assert err.endswith("run the same command again to continue\n")
    done = told(first + rest)
    assert 3 <= len(done) < 8
    assert {status for _, status in done} == {"done"}
    assert len(list((tmp_path / "out").glob("*.png"))) == len(done)

    again = invoke(*command, "--json")
    assert again.exit_code == 0
    skipped = [name for name, status in told(again.stdout) if status == "skipped"]
    finished = [name for name, status in told(again.stdout) if status == "done"]
    assert skipped == [name for name, _ in done]
    assert len(skipped) + len(finished) == 8
    assert len(list((tmp_path / "out").glob("*.png"))) == 8


def test_a_second_signal_drops_what_is_in_flight(photos: Path, tmp_path: Path) -> None:
    with started(photos, "-o", tmp_path / "out", "--detail", "off") as process:
        let(process, 1)
        first = stream(process.stdout).readline()
        interrupt(process, signal.SIGINT)
        process.send_signal(signal.SIGINT)  # the next prediction is never let go
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 130
    assert told(first + rest) == [(Path(json.loads(first)["input"]).name, "done")]
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".jsonl", ".png"]


@pytest.mark.usefixtures("fake_model")
def test_killed_at_any_time_and_run_again_all_are_there(photos: Path, tmp_path: Path) -> None:
    command = (photos, "-o", tmp_path / "out", "--detail", "off")
    with started(*command) as process:
        let(process, 4)
        for _ in range(4):
            stream(process.stdout).readline()
        process.kill()
        process.wait()  # it holds the output folder
    again = told(invoke(*command, "--json").stdout)
    assert [status for _, status in again].count("skipped") == 4
    assert len(again) == 8


def test_watching_takes_what_comes_and_ends_with_0(photos: Path, tmp_path: Path) -> None:
    command = (photos, "-o", tmp_path / "out", "--detail", "off", "--watch")
    with started(*command) as process:
        let(process, 9)
        for _ in range(8):
            stream(process.stdout).readline()
        (photos / "late.png").write_bytes(picture_bytes())
        late = stream(process.stdout).readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert told(late) == [("late.png", "done")]
    assert (tmp_path / "out" / "late.png").exists()


def test_when_nobody_reads_the_json_the_work_goes_on(photos: Path, tmp_path: Path) -> None:
    with started(photos, "-o", tmp_path / "out", "--detail", "off") as process:
        let(process, 1)
        stream(process.stdout).readline()
        stream(process.stdout).close()
        process.stdout = None
        let(process, 8)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
    assert "stdout was closed" in err
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert len(list((tmp_path / "out").glob("*.png"))) == 8


def test_an_error_of_the_disk_is_one_line(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file.png").touch()
    dataset = make_dataset(tmp_path / "data")[0].image.parent
    command = ["evaluate", str(dataset), "--predictions", str(dataset)]
    monkeypatch.setattr(sys, "argv", ["rmbg-service", *command, "--out", f"{tmp_path}/file.png"])
    with pytest.raises(SystemExit) as end:
        main()
    assert re.fullmatch(r"error: \S+/file\.png/mattes: Not a directory", str(end.value.code))


@pytest.mark.usefixtures("fake_model")
def test_stdin_to_stdout_and_to_a_file(tmp_path: Path) -> None:
    photo = picture_bytes()
    piped = invoke("-", stdin=photo)
    assert piped.exit_code == 0
    assert piped.stdout_bytes.startswith(b"\x89PNG")
    assert invoke("-", "-o", tmp_path / "a.webp", stdin=photo).exit_code == 0
    assert (tmp_path / "a.webp").read_bytes()[8:12] == b"WEBP"
    assert piped.stdout_bytes == invoke("-", "--format", "png", stdin=photo).stdout_bytes
    assert "got nothing" in str(invoke("-", stdin=b"").exception)


@pytest.mark.usefixtures("fake_model")
def test_a_dash_as_output_is_stdout(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    piped = invoke(photos / "1.png", "-o", "-", "--format", "webp")
    assert piped.exit_code == 0, piped.output
    assert piped.stdout_bytes[8:12] == b"WEBP"
    assert invoke("-", "-o", "-", stdin=picture_bytes()).stdout_bytes.startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [photos]
    assert isinstance(invoke("none.png", "-o", "-").exception, FileNotFoundError)


@pytest.mark.usefixtures("fake_model")
def test_the_suffix_of_the_output_is_its_format(photos: Path, tmp_path: Path) -> None:
    assert invoke(photos / "1.png", "-o", tmp_path / "a.jpg").exit_code == 0
    assert (tmp_path / "a.jpg").read_bytes().startswith(b"\xff\xd8")
    for target in (tmp_path / "b.jpg", tmp_path / "folder"):
        assert invoke(photos / "1.png", "-o", target, "--format", "jpg").exit_code == 0
    assert (tmp_path / "folder" / "1.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


@pytest.mark.usefixtures("fake_model")
def test_a_background_picture_changes_the_result(photos: Path, tmp_path: Path) -> None:
    beach = tmp_path / "beach.bmp"
    beach.write_bytes(picture_bytes((8, 8), "BMP"))
    photo = photos / "1.png"
    assert invoke(photo, "-o", tmp_path / "plain.png").exit_code == 0
    on_beach = invoke(photo, "-o", tmp_path / "beach.png", "--background-image", beach)
    assert on_beach.exit_code == 0
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "beach.png").read_bytes()


@pytest.mark.usefixtures("fake_model")
def test_a_matte_and_strokes_of_ones_own(photos: Path, tmp_path: Path) -> None:
    matte, strokes = tmp_path / "matte.png", tmp_path / "strokes.png"
    Image.new("L", (51, 40), 255).save(matte)
    painted = Image.new("RGBA", (51, 40))
    painted.paste((0, 0, 0, 255), (0, 0, 10, 40))
    painted.save(strokes)
    given = ("--matte", matte, "--strokes", strokes, "--strokes-mode", "exact")
    result = invoke(photos / "1.png", "-o", tmp_path / "cutout.png", *given)
    assert result.exit_code == 0
    alpha = np.asarray(Image.open(tmp_path / "cutout.png"))[..., 3]
    assert (alpha[:, 12:] == 255).all()
    assert (alpha[:, :8] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.png", "b.png", "--matte", "m.png"], "are for one image"),
        ([".", "--strokes", "s.png"], "are for one image"),
        (["*.png", "--matte", "m.png"], "are for one image"),
        (["s3://bucket/photos", "--matte", "m.png"], "are for one image"),
        (["a.png", "--strokes-mode", "exact"], "--strokes-mode needs --strokes"),
        (["a.mp4", "-o", "b.webm", "--matte", "m.png"], "not available for a video"),
        (["-", "a.png"], "must be the only input"),
        (["-", "--json"], "must be the only input"),
        (["-", "-o", "folder"], "name with a suffix"),
        ([".", "-o", "-"], "-o - is stdout, for one image"),
        (["a.png", "-o", "-", "--json"], "-o - is stdout, for one image"),
        (["a.png", "--server", "localhost:7860"], "expected a URL such as http://"),
        (["a.png", "--format", "gif"], "--format: must be 'png', "),
        (["a.png", "--quality", "high"], "--quality: must be a whole number"),
        (["a.png", "--parallel", "many", "--server", "http://x"], "must be a whole number"),
        (["a.png", "--watch"], "--watch is for folders"),
        (["a.png", "--poll"], "--poll is for --watch"),
        (["a.mp4", "-o", "b.webm", "--poll"], "--poll is for --watch"),
        (["none.png", "--background-image", "none.png", "--actors", "2"], "are for --ray"),
        (["a.png", "--quality", "0"], "--quality"),
        (["a.png", "--parallel", "3"], "--parallel is for --server"),
        (["a.png", "--server", "http://x", "--model", "u2netp"], "--model"),
        (["a.png", "--background-image", "b.png", "--background", "red"], "cannot be used with"),
        (["a.png", "-o", "a.bmp"], "an output file ends in one of"),
        (["a.png", "b.png", "--format", "auto"], "--format auto is for the API"),
        (["a.png", "--name", "{ext}"], "with {stem} in it"),
        (["s3://a/b", "-o", "c", "--ray", "local", "--actors", "2:1"], "--actors: expected 4 or"),
    ],
)
def test_a_command_line_that_cannot_be_is_refused(arguments: list[str], says: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Usage: root remove [OPTIONS] INPUTS...\n" in result.stderr


@pytest.mark.parametrize("stdin", [None, picture_bytes()])
def test_a_missing_model_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    photos: Path,
    stdin: bytes | None,
) -> None:
    class Missing(FakePredictor):
        def load(self) -> None:
            raise ConfigurationError("the model is not on this disk")

    monkeypatch.setattr("rmbg_service.batch.batch.select_predictor", lambda _: Missing())
    monkeypatch.setattr(sys.modules["rmbg_service.cli.remove"], "exit_now", sys.exit)
    given = (photos, "-o", "out") if stdin is None else ("-", "-o", "out.png")
    monkeypatch.chdir(photos.parent)
    done = invoke(*given, stdin=stdin)
    told = f"{done.stderr}{done.exception}"
    assert done.exit_code == 1
    assert told.count("the model is not on this disk") == 1
    assert caplog.records == []  # which a terminal would show, too


@pytest.mark.parametrize("closed", ["<&- >&-", "2>&-"])
def test_closed_streams_are_no_error(tmp_path: Path, closed: str) -> None:
    command = [sys.executable, "-m", "rmbg_service", "remove", "none.png", "--json", "-o", "out"]
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    if ">&-" not in closed.split():
        assert json.loads(done.stdout)["status"] == "failed"
    if "2>&-" not in closed:
        assert "failed: none.png: no such file or folder" in done.stderr


@pytest.mark.parametrize("option", [None, "--background-image", "--matte", "--strokes"])
def test_what_an_image_is_made_of_is_not_replaced(tmp_path: Path, option: str | None) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture_bytes())
    (tmp_path / "link.png").symlink_to("b.png")
    given = ("b.png",) if option is None else ("a.png", option, "b.png")
    paths = (tmp_path / each if each.endswith("png") else each for each in given)
    result = invoke(*paths, "-o", tmp_path / "link.png")
    assert result.exit_code == 2
    assert "would replace an image that it is made of" in " ".join(result.stderr.split())
    assert (tmp_path / "b.png").read_bytes() == picture_bytes()


def test_a_missing_background_is_one_clear_error(tmp_path: Path) -> None:
    result = invoke("a.png", "--background-image", tmp_path / "none.png")
    assert result.exit_code == 2
    assert "No such file" in result.stderr


def test_object_stores_are_named_by_their_urls(fake_model: None) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/photos/sub/a.png", picture_bytes())
    try:
        assert invoke("memory://photos", "-o", "memory://cutouts").exit_code == 0
        assert files.exists("/cutouts/sub/a.png")
        for wrong in ("--watch", "-", "--actors=2", "--ray=local --server=http://x"):
            result = invoke("memory://photos", *wrong.split(), "-o", "memory://cutouts")
            assert result.exit_code == 2
    finally:
        files.store.clear()


def test_several_presets_are_made_of_one_prediction(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = FakePredictor()
    monkeypatch.setattr("rmbg_service.batch.batch.select_predictor", lambda _: predictor)
    out = tmp_path / "out"
    arguments = [str(photos), "-o", str(out), "--preset", "taobao", "--preset", "instagram"]
    result = invoke(*arguments, "--detail", "off", "--upscale")
    assert result.exit_code == 0, result.output
    count = len(list(photos.iterdir()))
    predicted = len(predictor.predicted)
    assert predicted == count
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    stems = [path.stem for path in photos.iterdir()]
    assert names == {f"{stem}-{name}.jpg" for stem in stems for name in ("taobao", "instagram")}
    sizes = {"taobao": (800, 800), "instagram": (1080, 1350)}
    for name in names:
        with Image.open(out / name) as image:
            assert image.size == sizes[name.rpartition("-")[2].removesuffix(".jpg")]
    again = invoke(*arguments, "--detail", "off", "--upscale")
    assert again.stderr.splitlines()[-1].split()[:2] == ["0", str(count)], "all are skipped"
    (out / f"{stems[0]}-instagram.jpg").unlink()
    assert invoke(*arguments, "--detail", "off", "--upscale").exit_code == 0
    assert len(predictor.predicted) == predicted + 1
    assert (out / f"{stems[0]}-instagram.jpg").exists()


def test_outputs_are_named_by_a_template(photos: Path, tmp_path: Path, fake_model: None) -> None:
    out = tmp_path / "out"
    template = "{preset}/{stem}_shop.{ext}"
    result = invoke(photos, "-o", out, "--preset", "jd", "--name", template, "--detail", "off")
    assert result.exit_code == 0, result.output
    made = {path.relative_to(out).as_posix() for path in out.rglob("*.jpg")}
    assert made == {f"jd/{path.stem}_shop.jpg" for path in photos.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--preset", "nowhere"], "--preset: "),
        (["--preset", "jd", "--preset", "ebay", "-o", "a.jpg"], "several presets need files"),
        (["--name", "{stem}.{ext}", "-o", "a.jpg"], "--name is for the files in an output folder"),
        (["--name", "{stem}.{suffix}"], "expected the fields {stem}, {preset} and {ext}"),
        (["--name", "{stem:d}.{ext}"], "expected the fields {stem}, {preset} and {ext}"),
        (["--name", "{stem!r}.{ext}"], "expected the fields {stem}, {preset} and {ext}"),
        (["--name", "{stem"], "--name {stem: "),
        (["--name", "cutout.{ext}"], "with {stem} in it"),
        (["--name", "../{stem}.{ext}"], "a path below the output folder"),
        (["--name", "{stem}.{ext}", "--preset", "jd", "--preset", "ebay"], "need {preset} in it"),
        (["--name", "{preset}/{stem}.{ext}"], "{preset} needs --preset"),
    ],
)
def test_presets_and_names_that_cannot_be_are_refused(
    arguments: list[str], says: str, tmp_path: Path, fake_model: None
) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(picture_bytes())
    result = invoke(photo, *arguments)
    assert result.exit_code != 0
    assert says in result.stderr + str(result.exception)


def test_stdin_is_read_up_to_the_limit_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_MAX_BODY_BYTES", "100")
    photo = picture_bytes()
    with running_server(FakePredictor(), max_body_bytes=len(photo)) as url:
        piped = invoke("-", "--server", url, stdin=photo)
        too_large = invoke("-", "--server", url, stdin=photo + b"x")
    assert piped.exit_code == 0, piped.output
    assert piped.stdout_bytes.startswith(b"\x89PNG")
    assert f"more than the {len(photo):,} bytes" in str(too_large.exception)


def test_several_presets_are_all_told(photos: Path, tmp_path: Path, fake_model: None) -> None:
    out = tmp_path / "out"
    arguments = [str(photos / "1.png"), "-o", str(out), "--preset", "jd", "--preset", "ebay"]
    made = json.loads(invoke(*arguments, "--json").stdout)
    assert made["output"] == str(out / "1-jd.jpg")
    assert made["outputs"] == [str(out / "1-jd.jpg"), str(out / "1-ebay.jpg")]
    again = json.loads(invoke(*arguments, "--json").stdout)
    assert (again["status"], again["outputs"]) == ("skipped", made["outputs"])


def test_matting_without_its_model_is_refused_before_any_work(photos: Path, tmp_path: Path) -> None:
    result = invoke(photos, "-o", tmp_path / "out", "--detail", "matting")
    assert isinstance(result.exception, NoMattingModel)
    assert "RMBG_MATTING_MODEL=vitmatte-small-composition-1k" in str(result.exception)
    assert not (tmp_path / "out").exists()
