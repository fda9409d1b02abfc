"""Object stores through the whole command, against a real S3 protocol server."""

import asyncio
import errno
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from rmbg_service.batch.batch import Batch, run_batch
from rmbg_service.batch.manifest import FOLDER as MANIFEST
from rmbg_service.batch.manifest import Manifest
from rmbg_service.batch.outputs import Target, object_target
from rmbg_service.batch.stores import Store
from rmbg_service.errors import ConfigurationError
from rmbg_service.models.predictor import Predictor
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings
from tests.fakes import FakePredictor, picture_bytes
from tests.s3 import running_s3
from tests.server import running_server

Files = Any
ODD_NAMES = [
    "with space.jpg",
    "100%25.png",
    "日本/猫 é.png",
    "a+b&c=d#e;f,g.png",
    f"{'x' * 896}.png",
]


@pytest.fixture
def s3() -> Iterator[Files]:
    with running_s3("photos", "cutouts") as files:
        yield files


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> FakePredictor:
    fake = FakePredictor()

    def select(_: Settings) -> Predictor:
        return fake

    monkeypatch.setattr("rmbg_service.batch.batch.select_predictor", select)
    return fake


def batch(inputs: list[str], out: str, **more: Any) -> Batch:
    arguments: dict[str, Any] = {"options": RemovalOptions(), "as_json": True} | more
    return Batch(inputs, object_target(out, None), **arguments)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["input"]: line for line in lines}


def outputs(files: Files, bucket: str = "cutouts") -> dict[str, bytes]:
    found = files.find(bucket)
    return {
        path.removeprefix(f"{bucket}/"): files.cat_file(path)
        for path in found
        if "/.rmbg-service/" not in path
    }


async def test_a_bucket_gets_the_names_and_bytes_of_a_folder(
    s3: Files, predictor: FakePredictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [*ODD_NAMES[:4], "a.jpg", "a.gif", "A.png", "sub/a.jpg"]
    for name in names:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = {".jpg": "JPEG", ".gif": "GIF"}.get(path.suffix, "PNG")
        path.write_bytes(picture_bytes((40 + len(name), 30), kind))
        s3.pipe_file(f"photos/all/{name}", path.read_bytes())
    folder = Batch([str(tmp_path / "photos")], Target(tmp_path / "out", False), RemovalOptions())
    assert (await run_batch(folder)).status == 0
    assert (await run_batch(batch(["s3://photos/all"], "s3://cutouts/cut/outs"))).status == 0
    written = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*.png")
        if not path.name.startswith(".")
    }
    assert len(written) == len(names)
    assert outputs(s3, "cutouts/cut/outs") == written
    assert told(capsys)["s3://photos/all/sub/a.jpg"]["output"] == "s3://cutouts/cut/outs/sub/a.png"


async def test_odd_names_broken_objects_and_what_is_no_image(
    s3: Files, predictor: FakePredictor, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ODD_NAMES:
        s3.pipe_file(f"photos/{name}", picture_bytes())
    s3.pipe_file("photos/broken.png", picture_bytes()[:100])
    s3.pipe_file("photos/empty.png", b"")
    s3.pipe_file("photos/big.png", bytes(2_000_000))
    s3.pipe_file("photos/notes.txt", b"not an image")
    s3.pipe_file("photos/.hidden/a.png", picture_bytes())
    run = batch(["s3://photos"], "s3://cutouts", settings={"max_body_bytes": "1000000"})
    assert (await run_batch(run)).status == 1
    lines = told(capsys)
    assert {name for name, line in lines.items() if line["status"] == "failed"} == {
        "s3://photos/broken.png",
        "s3://photos/empty.png",
        "s3://photos/big.png",
    }
    assert "larger than the 1,000,000 bytes" in lines["s3://photos/big.png"]["error"]
    assert {*outputs(s3)} == {f"{name.rpartition('.')[0]}.png" for name in ODD_NAMES}
    rows = [*Manifest(Store("s3://cutouts")).rows()]
    assert sorted(row.status for row in rows) == ["done"] * 5 + ["failed"] * 3
    (long,) = (row for row in rows if len(row.input) > 800)
    assert (long.model, long.box_left, long.output_bytes) == ("fake", 0, s3.size(long.output))


async def test_a_second_run_does_only_what_is_missing_or_has_changed(
    s3: Files, predictor: FakePredictor, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        s3.pipe_file(f"photos/{number}.png", picture_bytes((50 + number, 40)))
    run = batch(["s3://photos"], "s3://cutouts")
    assert (await run_batch(run)).status == 0
    s3.rm_file("cutouts/0.png")
    s3.pipe_file("cutouts/1.png", b"touched up")
    s3.pipe_file("photos/2.png", picture_bytes((80, 20)))
    s3.pipe_file("photos/5.jpg", picture_bytes((80, 20), "JPEG"))
    told(capsys)
    assert (await run_batch(run)).status == 0
    lines = told(capsys)
    assert [lines[f"s3://photos/{number}.png"]["status"] for number in range(5)] == [
        *["done"] * 3,
        *["skipped"] * 2,
    ]
    assert lines["s3://photos/5.jpg"]["status"] == "done"
    for more in ({"options": RemovalOptions(background="red")}, {"force": True}):
        assert (await run_batch(batch(["s3://photos"], "s3://cutouts", **more))).status == 0
        assert {line["status"] for line in told(capsys).values()} == {"done"}


async def test_an_output_belongs_to_the_input_that_took_it_first(
    s3: Files, predictor: FakePredictor
) -> None:
    s3.pipe_file("photos/one/b.png", picture_bytes())
    assert (await run_batch(batch(["s3://photos/one"], "s3://cutouts"))).status == 0
    s3.pipe_file("photos/two/b.png", picture_bytes((20, 20)))
    assert (await run_batch(batch(["s3://photos/two"], "s3://cutouts"))).status == 0
    assert {*outputs(s3)} == {"b.png", "b.png.png"}
    s3.rm_file("photos/one/b.png")
    s3.rm_file("cutouts/b.png")
    s3.pipe_file("photos/two/c.png", picture_bytes())
    assert (
        await run_batch(batch(["s3://photos/one", "s3://photos/two"], "s3://cutouts"))
    ).status == 1
    assert {*outputs(s3)} == {"b.png.png", "two/b.png", "two/c.png"}


async def test_single_objects_patterns_and_local_files_can_be_mixed(
    s3: Files, predictor: FakePredictor, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png", "deep/c.png", "noname"):
        s3.pipe_file(f"photos/{name}", picture_bytes())
    (tmp_path / "local.png").write_bytes(picture_bytes())
    inputs = [
        "s3://photos/deep/*.png",
        "s3://photos/noname",
        "s3://photos/a.png",
        str(tmp_path / "local.png"),
    ]
    assert (await run_batch(batch(inputs, "s3://cutouts"))).status == 0
    assert {*outputs(s3)} == {"a.png", "c.png", "local.png", "noname.png"}
    assert (await run_batch(batch(["s3://photos/deep"], str(tmp_path / "here")))).status == 0
    assert (tmp_path / "here" / "c.png").read_bytes() == outputs(s3)["c.png"]


async def test_a_name_that_leads_out_of_a_folder_is_refused(
    predictor: FakePredictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = fsspec.filesystem("memory")
    for path in ("/evil/../../up.png", "/evil//slash.png", "/evil/good.png"):
        files.store[path] = memory_file(files, path)
    try:
        run = batch(["memory://evil"], str(tmp_path / "out"))
        assert (await run_batch(run)).status == 1
    finally:
        files.store.clear()
    statuses = {name: line["status"] for name, line in told(capsys).items()}
    assert statuses["memory:///evil/../../up.png"] == "failed"
    written = await asyncio.to_thread(lambda: [*tmp_path.rglob("*.png")])
    assert {path.name for path in written} == {"slash.png", "good.png"}


def memory_file(files: Files, path: str) -> Any:
    from fsspec.implementations.memory import MemoryFile

    return MemoryFile(files, path, picture_bytes())


async def test_a_service_can_do_the_work(s3: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.pipe_file("photos/a.png", picture_bytes())
    with running_server(FakePredictor()) as url:
        assert (await run_batch(batch(["s3://photos"], "s3://cutouts", server=url))).status == 0
    assert {*outputs(s3)} == {"a.png"}


async def test_what_cannot_be_is_one_clear_error(
    s3: Files, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for inputs, out, says in [
        (["s3://photos"], "s3://photos", "is an input"),
        (["nope://in"], "s3://cutouts", "nope"),
        (["hdfs4://in"], "s3://cutouts", "hdfs4"),
    ]:
        with pytest.raises(ConfigurationError, match=says):
            await run_batch(batch(inputs, out))
    with pytest.raises(ConfigurationError, match="expected a folder"):
        object_target("s3://cutouts/a.png", None)
    s3.pipe_file("cutouts/.rmbg-service/manifest/00000001.parquet", b"half")
    with pytest.raises(ConfigurationError, match=r"00000001\.parquet cannot be read"):
        await run_batch(batch(["s3://photos"], "s3://cutouts"))


async def test_a_missing_bucket_fails(
    s3: Files, predictor: FakePredictor, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await run_batch(batch(["s3://missing/a"], "s3://cutouts"))).status == 1
    assert told(capsys)["s3://missing/a"]["error"] == "no such object or folder"


async def test_a_manifest_that_cannot_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, predictor: FakePredictor
) -> None:
    def write(store: Store, path: str, data: bytes) -> None:
        if MANIFEST in path:
            threads.append(threading.current_thread())
            if len(threads) < 4:
                raise OSError(errno.EIO, "the bucket does not answer")
        written(store, path, data)

    threads: list[threading.Thread] = []
    written = Store.write
    monkeypatch.setattr(Store, "write", write)
    monkeypatch.setattr("rmbg_service.batch.manifest.FLUSH_S", -1)
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.png").write_bytes(picture_bytes())
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    out = str(tmp_path / "out")
    assert (await run_batch(batch([str(tmp_path / "in")], out))).status == 1
    assert threading.main_thread() not in threads
    rows = [row.status for row in Manifest(Store(out)).rows()]
    assert sorted(rows) == ["done", "done", "done", "failed"]


async def test_names_are_those_of_a_folder_also_with_a_template(
    tmp_path: Path, predictor: FakePredictor
) -> None:
    for name in ("forest.jpg", "forest.png/b.jpg", "sea/a.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture_bytes(kind="JPEG"))
    inputs, out = [str(tmp_path / "in")], tmp_path / "out"
    for _ in range(2):
        assert (await run_batch(batch(inputs, str(out)))).status == 0
        assert written(out) == {"forest.png", "forest.png-2/b.png", "sea/a.png"}
    assert len(predictor.predicted) == 3
    out = tmp_path / "named"
    assert (await run_batch(batch(inputs, str(out), name="{stem}_cut.{ext}"))).status == 0
    assert written(out) == {"forest_cut.png", "forest.png/b_cut.png", "sea/a_cut.png"}


async def test_a_run_removes_what_a_killed_one_left_in_local_folders(
    tmp_path: Path, predictor: FakePredictor
) -> None:
    (tmp_path / "in" / "sea").mkdir(parents=True)
    (tmp_path / "in" / "sea" / "a.png").write_bytes(picture_bytes())
    out = tmp_path / "out"
    left = [out / folder / ".rmbg-service-0123.part" for folder in ("sea", MANIFEST)]
    for path in left:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half")
    assert (await run_batch(batch([str(tmp_path / "in")], str(out)))).status == 0
    assert not any(path.exists() for path in left)
    assert written(out) == {"sea/a.png"}


def written(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*.png") if path.is_file())
    return {path.as_posix() for path in found}
