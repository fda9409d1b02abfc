"""A batch on a real cluster of three nodes, against a real S3 protocol server."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from rmbg_service.batch.manifest import Manifest
from rmbg_service.batch.stores import Store
from rmbg_service.cluster.removal import Pool
from rmbg_service.errors import ConfigurationError
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
    names = [f"{number}.png" for number in range(PHOTOS)] + ["a b%20é.png", f"{'x' * 880}.png"]
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

        with started(*arguments) as driver:
            statuses = [line["status"] for line in lines(driver.stdout)]
        assert sorted(statuses) == ["failed"] * 2 + ["skipped"] * len(names)

        manifest = Manifest(Store("s3://cutouts"))
        done = [row for row in manifest.rows() if row.status == "done"]
        assert {row.output: row.output_bytes for row in done} == {
            f"s3://cutouts/{name}": s3.size(f"cutouts/{name}") for name in names
        }
        assert len({row.node for row in done}) == 1  # all nodes are this machine
