"""A batch on a real cluster of three nodes, against a real S3 protocol server."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import pytest

from rmbg_service.batch.batch import Batch
from rmbg_service.batch.manifest import Manifest, Row
from rmbg_service.batch.objects import ObjectSource, done_row
from rmbg_service.batch.outputs import object_target
from rmbg_service.batch.removers.remover import Removed, RemoverFailed
from rmbg_service.batch.stores import Store
from rmbg_service.cluster.removal import Pool, remove_on_ray
from rmbg_service.errors import ConfigurationError
from rmbg_service.removal.options import RemovalOptions
from tests.fakes import picture_bytes
from tests.ray_cluster import running_cluster, workers
from tests.s3 import running_s3

ROOT = Path(__file__).parents[2]
PHOTOS = 40
BROKEN = {"s3://photos/broken 1.png", "s3://photos/broken 2.png"}
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        (None, Pool()),
        ("4", Pool(4, 4)),
        ("1:8", Pool(1, 8)),
    ],
)
def test_actors_are_a_number_or_a_range(text: str | None, pool: Pool) -> None:
    assert Pool.parse(text, 1, 0) == pool


@pytest.mark.parametrize("text", ["0", "many", "4:2", ":"])
def test_other_actors_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected 4 or 1:8"):
        Pool.parse(text, 1, 0)


def fail() -> None:
    raise RemoverFailed("the device is lost")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As at a terminal: a background job of a shell ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda: None, 0),
        (lambda: signal.raise_signal(signal.SIGTERM), 143),
        (lambda: signal.raise_signal(signal.SIGINT), 130),
        (fail, 1),
    ],
)
def test_however_a_run_ends_its_rows_are_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    end: Callable[[], None],
    status: int,
) -> None:
    def rows(_: Batch, source: ObjectSource, __: Pool) -> Iterator[Row]:
        print("Ray prints this")
        (planned,) = source.plan.todo
        yield done_row(
            planned.input, "v", 1, "out", Removed(b"cutout", None), source.provenance, 0.1
        )
        end()

    monkeypatch.setattr("rmbg_service.cluster.removal.connected", lambda _: nullcontext())
    monkeypatch.setattr("rmbg_service.cluster.removal._rows", rows)
    (tmp_path / "a.png").write_bytes(picture_bytes())
    target = object_target(str(tmp_path / "out"), None)
    batch = Batch([str(tmp_path / "a.png")], target, RemovalOptions(), as_json=True)
    assert remove_on_ray(batch, "here", Pool()) == status
    out, err = capsys.readouterr()
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["done"]
    assert ("error: the device is lost" in err) == (status == 1)
    assert ("run the same command again to continue" in err) == (status > 1)
    (row,) = Manifest(Store(str(tmp_path / "out"))).rows()
    assert (row.input, row.output_bytes) == (str(tmp_path / "a.png"), 6)


@contextmanager
def started(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "rmbg_service", "remove", *arguments, "--json", "--detail", "off"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def lines(output: IO[str] | None) -> Iterator[dict[str, Any]]:
    assert output is not None
    for line in output:
        yield json.loads(line)


def until_done(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows up to the next one that is `done`."""
    for row in rows:
        yield row
        if row["status"] == "done":
            return


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_no_photo_is_lost_when_workers_nodes_and_the_driver_are() -> None:
    names = [f"{number}.png" for number in range(PHOTOS)] + ["a b%20é.png", f"{'x' * 896}.png"]
    with running_s3("photos", "cutouts") as s3, running_cluster(3) as cluster:
        for name in names:
            s3.pipe_file(f"photos/{name}", picture_bytes())
        for name in BROKEN:
            s3.pipe_file(name, b"not an image")
        arguments = ["s3://photos", "-o", "s3://cutouts", "--ray", cluster.address]

        with started(*arguments, "--actors", "2") as driver:
            rows = lines(driver.stdout)
            next(rows)
            driver.send_signal(signal.SIGKILL)

        with started(*arguments, "--actors", "2") as driver:
            rows = lines(driver.stdout)
            told = [*until_done(rows)]
            os.kill(workers("MapWorker")[0].pid, signal.SIGKILL)
            told += until_done(rows)
            cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
            told += rows
            assert driver.wait() == 1  # the broken ones
        assert len(told) == len({line["input"] for line in told}) == len(names) + 2
        assert {line["input"] for line in told if line["status"] == "failed"} == BROKEN
        assert {*s3.ls("cutouts")} - {"cutouts/.rmbg-service"} == {
            f"cutouts/{name}" for name in names
        }

        with started("s3://photos", "-o", "s3://cutouts") as driver:  # without the cluster
            statuses = [line["status"] for line in lines(driver.stdout)]
        assert sorted(statuses) == ["failed"] * 2 + ["skipped"] * len(names)

        manifest = Manifest(Store("s3://cutouts"))
        done = [row for row in manifest.rows() if row.status == "done"]
        assert {row.output: row.output_bytes for row in done} == {
            f"s3://cutouts/{name}": s3.size(f"cutouts/{name}") for name in names
        }
        assert len({row.node for row in done}) == 1  # all nodes are this machine
