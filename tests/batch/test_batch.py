"""Folders through the whole command, here and through a real service."""

import asyncio
import errno
import json
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from zipfile import is_zipfile

import httpx
import pytest

from rmbg_service.batch.batch import Batch, run_batch
from rmbg_service.batch.outputs import Target
from rmbg_service.batch.removers.remote import KEY_VARIABLE
from rmbg_service.batch.watch import RETRY_AFTER_S, watched_images
from rmbg_service.errors import ConfigurationError
from rmbg_service.models.predictor import Predictor
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings
from rmbg_service.system.atomic import atomic_write
from tests.fakes import FakePredictor, picture_bytes
from tests.server import running_server


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> FakePredictor:
    """The model of this process, in place of the one the settings name."""
    fake = FakePredictor()

    def select(_: Settings) -> Predictor:
        return fake

    monkeypatch.setattr("rmbg_service.batch.batch.select_predictor", select)
    return fake


def forty_photos(folder: Path) -> Path:
    for number in range(40):
        path = folder / f"{number % 4}" / f"{number}.{'jpg' if number % 2 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "JPEG" if number % 2 else "PNG"
        path.write_bytes(picture_bytes((50 + number, 40), kind))
    return folder


def cutouts(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.png")
        if not path.name.startswith(".")
    }


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def metric(url: str, name: str) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{url}/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


async def test_40_photos_here_and_through_a_service_of_4_places_give_the_same_bytes(
    tmp_path: Path, predictor: FakePredictor, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = str(forty_photos(tmp_path / "photos"))
    options = RemovalOptions(crop=True, margin="2px")
    here = Batch([photos], Target(tmp_path / "here", False), options, as_json=True)
    assert (await run_batch(here)).status == 0
    assert [line["status"] for line in lines(capsys)] == ["done"] * 40

    served = FakePredictor(gated=True)
    with running_server(served, max_inflight_jobs=4) as url:
        there = Batch(
            [photos],
            Target(tmp_path / "there", False),
            options,
            server=url,
            parallel=12,
            as_json=True,
        )
        running = asyncio.create_task(run_batch(there))
        # 12 at once knock at 4 places.
        while await metric(url, 'rmbg_rejected_total{reason="jobs"}') < 8:
            assert not running.done()
        served.gate.set()
        assert (await running).status == 0
        assert await metric(url, 'rmbg_requests_total{outcome="ok"}') == 40
    told = lines(capsys)
    assert [line["status"] for line in told] == ["done"] * 40
    assert len({line["input"] for line in told}) == 40
    assert all(line["box"] is not None for line in told)
    assert cutouts(tmp_path / "there") == cutouts(tmp_path / "here")
    assert len(cutouts(tmp_path / "here")) == 40

    again = Batch([photos], Target(tmp_path / "there", False), options, as_json=True)
    assert (await run_batch(again)).status == 0  # what the service has done counts here, too
    assert [line["status"] for line in lines(capsys)] == ["skipped"] * 40


async def test_other_options_and_force_do_all_again(
    tmp_path: Path, predictor: FakePredictor
) -> None:
    (tmp_path / "a.png").write_bytes(picture_bytes())
    target = Target(tmp_path / "out", False)
    for options, force, predictions in [
        (RemovalOptions(), False, 1),
        (RemovalOptions(), False, 1),
        (RemovalOptions(background="red"), False, 2),
        (RemovalOptions(background="red"), True, 3),
    ]:
        batch = Batch([str(tmp_path / "a.png")], target, options, force=force)
        assert (await run_batch(batch)).status == 0
        assert len(predictor.predicted) == predictions


async def test_an_output_that_was_retouched_is_kept_beside_the_new_one(
    tmp_path: Path, predictor: FakePredictor, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jpg").write_bytes(picture_bytes())
    out = tmp_path / "out"
    for force, work in [(False, b"mine"), (True, b"mine, too")]:
        batch = Batch([str(tmp_path)], Target(out, False), RemovalOptions(), force=force)
        assert (await run_batch(batch)).status == 0
        made = (out / "a.png").read_bytes()
        (out / "a.png").write_bytes(work)
    assert (await run_batch(batch)).status == 0
    assert cutouts(out) == {
        "a.png": made,
        "a.changed-1.png": b"mine",
        "a.changed-2.png": b"mine, too",
    }
    assert "kept as a.changed-2.png" in caplog.text


async def test_other_settings_of_the_model_do_all_again_and_other_settings_do_not(
    tmp_path: Path, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(picture_bytes())
    batch = Batch([str(tmp_path / "a.png")], Target(tmp_path / "out", False), RemovalOptions())
    for variable, value, predictions in [
        ("RMBG_DTYPE", "auto", 1),
        ("RMBG_CPU_THREADS", "1", 1),
        ("RMBG_DTYPE", "fp32", 2),
        ("RMBG_PATCH_ORDER", "wg_hg_c", 3),
        ("RMBG_ONNX_MEAN", "0,0,0", 4),
        ("RMBG_ONNX_MEAN", "0,0,0", 4),
    ]:
        monkeypatch.setenv(variable, value)
        assert (await run_batch(batch)).status == 0
        assert len(predictor.predicted) == predictions


async def test_a_broken_file_is_told_and_makes_the_status_1(
    tmp_path: Path, predictor: FakePredictor, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(picture_bytes())
    (tmp_path / "b.png").write_bytes(picture_bytes()[:100])
    inputs = [str(tmp_path / name) for name in ("a.png", "b.png", "none.png")]
    batch = Batch(inputs, Target(tmp_path / "out", False), RemovalOptions(), as_json=True)
    assert (await run_batch(batch)).status == 1
    out, err = capsys.readouterr()
    told = {Path(str(line["input"])).name: line for line in map(json.loads, out.splitlines())}
    assert {name: line["status"] for name, line in told.items()} == {
        "a.png": "done",
        "b.png": "failed",
        "none.png": "failed",
    }
    assert told["a.png"].keys() == {"input", "output", "outputs", "status", "ms", "box", "error"}
    assert "failed:" in err
    assert "no such file or folder" in err
    assert list(cutouts(tmp_path / "out")) == ["a.png"]


async def test_the_key_comes_from_the_environment_and_hinders_nothing_here(
    tmp_path: Path, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(picture_bytes())
    inputs, target = [str(tmp_path / "a.png")], Target(tmp_path / "b.png", True)
    with running_server(FakePredictor(), api_keys="sesame") as url:
        there = Batch(inputs, target, RemovalOptions(), server=url)
        assert (await run_batch(there)).status == 1
        assert not target.path.exists()
        monkeypatch.setenv(KEY_VARIABLE, "sesame")
        assert (await run_batch(there)).status == 0
    assert (await run_batch(Batch(inputs, target, RemovalOptions()))).status == 0


async def test_a_folder_without_pictures_is_told(
    tmp_path: Path, predictor: FakePredictor, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    folder = str(tmp_path / "empty")
    batch = Batch([folder], Target(tmp_path / "out", False), RemovalOptions())
    assert (await run_batch(batch)).status == 0
    assert f"no images in {folder}" in capsys.readouterr().err


async def test_watching_retries_what_failed_for_a_passing_reason(
    tmp_path: Path,
    predictor: FakePredictor,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail_once(path: Path, data: bytes) -> None:
        if not failed:
            failed.append(path)
            raise OSError(errno.ENOSPC, "No space left on device")
        atomic_write(path, data)

    async def minutes(*_: object, poll: bool) -> AsyncIterator[set[object]]:
        yield {"what is there"}
        while not list((tmp_path / "out").glob("*.png")):
            now.append(now[-1] + RETRY_AFTER_S)
            yield set()
            await asyncio.sleep(0)

    failed: list[Path] = []
    now = [0.0]
    monkeypatch.setattr("rmbg_service.batch.folders.atomic_write", fail_once)
    monkeypatch.setattr("rmbg_service.batch.folders.changes", minutes)
    monkeypatch.setattr(
        "rmbg_service.batch.folders.watched_images", partial(watched_images, clock=lambda: now[-1])
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(picture_bytes())
    target = Target(tmp_path / "out", False)
    batch = Batch([str(tmp_path / "in")], target, RemovalOptions(), watch=True, as_json=True)
    assert (await run_batch(batch)).status == 0
    assert [line["status"] for line in lines(capsys)] == ["failed", "done"]


async def test_a_model_that_does_not_load_ends_the_run(
    tmp_path: Path, predictor: FakePredictor, capsys: pytest.CaptureFixture[str]
) -> None:
    predictor.load = lambda: (_ for _ in ()).throw(OSError("no weights"))  # type: ignore[method-assign]
    photos = forty_photos(tmp_path / "photos")
    ending = await run_batch(
        Batch([str(photos)], Target(tmp_path / "out", False), RemovalOptions())
    )
    assert ending == (1, True)
    assert "no weights" in capsys.readouterr().err


async def test_layers_are_zip_files_here_and_through_a_service(
    tmp_path: Path, predictor: FakePredictor
) -> None:
    (tmp_path / "a.jpg").write_bytes(picture_bytes(kind="JPEG"))
    with running_server(FakePredictor()) as url:
        for server in (None, url):
            target = Target(tmp_path / ("here" if server is None else "there"), False)
            options = RemovalOptions(output="layers")
            batch = Batch([str(tmp_path / "a.jpg")], target, options, server=server)
            assert (await run_batch(batch)).status == 0
            (made,) = (path for path in target.path.iterdir() if not path.name.startswith("."))
            assert made.name == "a.zip"
            assert is_zipfile(made)


async def test_one_file_goes_where_it_is_told_and_leaves_no_journal(
    tmp_path: Path, predictor: FakePredictor
) -> None:
    (tmp_path / "a.png").write_bytes(picture_bytes())
    target = Target(tmp_path / "out" / "b.png", True)
    for times in (1, 2):
        batch = Batch([str(tmp_path / "a.png")], target, RemovalOptions())
        assert (await run_batch(batch)).status == 0
        assert len(predictor.predicted) == times
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]


async def test_watching_that_cannot_begin_is_one_clear_error(
    tmp_path: Path, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def awatch(*_: object, **__: object) -> AsyncIterator[set[object]]:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr("rmbg_service.batch.watch.awatch", awatch)
    target = Target(tmp_path / "out", False)
    batch = Batch([str(tmp_path)], target, RemovalOptions(), watch=True)
    with pytest.raises(ConfigurationError, match="try --poll"):
        await run_batch(batch)


async def test_an_output_folder_that_cannot_be_written_ends_the_run_before_any_removal(
    tmp_path: Path, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("rmbg_service.batch.folders.TemporaryFile", fail)
    (tmp_path / "photo.png").write_bytes(picture_bytes((60, 40)))
    batch = Batch([str(tmp_path / "photo.png")], Target(tmp_path / "out", False), RemovalOptions())
    with pytest.raises(ConfigurationError, match=r"cannot write to .*out: Read-only file system"):
        await run_batch(batch)
    assert predictor.predicted == []


async def test_two_runs_do_not_use_one_output_folder_at_once(
    tmp_path: Path, predictor: FakePredictor
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.png").write_bytes(picture_bytes((60, 40)))
    target = Target(tmp_path / "out", False)
    first = Batch([str(tmp_path / "one")], target, RemovalOptions())
    second = Batch([str(tmp_path / "two")], target, RemovalOptions())
    predictor.gate.clear()
    running = asyncio.create_task(run_batch(first))
    await predictor.wait_until_entered()
    with pytest.raises(ConfigurationError, match="another run writes to"):
        await run_batch(second)
    predictor.gate.set()
    assert (await running).status == 0
    assert (await run_batch(second)).status == 0
    assert set(cutouts(tmp_path / "out")) == {"photo.png", "photo.png.png"}


async def test_without_locks_a_run_goes_on(
    tmp_path: Path, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr("rmbg_service.system.locks.lock", fail)
    (tmp_path / "photo.png").write_bytes(picture_bytes((60, 40)))
    batch = Batch([str(tmp_path / "photo.png")], Target(tmp_path / "out", False), RemovalOptions())
    assert (await run_batch(batch)).status == 0
    assert predictor.predicted == [1]
