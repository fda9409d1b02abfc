"""The disk is full: serving needs none, and a batch says which files it could not write."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from rmbg_service.batch.batch import Batch, run_batch
from rmbg_service.batch.outputs import Target
from rmbg_service.removal.options import RemovalOptions
from tests.fakes import PATH, FakePredictor, picture_bytes
from tests.faults.supervisor import supervised
from tests.faults.test_process import FAULTY
from tests.processes import launched, limited, started
from tests.server import wait_until


def noise(side: int) -> bytes:
    """A PNG that cannot be compressed: 3 bytes a pixel."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def test_serving_needs_no_disk() -> None:
    with started(limited("RLIMIT_FSIZE", 0)) as (_, url):
        files = {"image": noise(1500), "background_image": picture_bytes()}
        answer = httpx.post(url + PATH, files=files, timeout=60)
        assert answer.status_code == 200


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_serving_does_not_depend_on_stdout() -> None:
    with supervised(FAULTY, stdout="/dev/full") as service:
        service.terminate()
        wait_until(lambda: service.statuses == [0])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_batch_whose_lines_of_json_cannot_be_written_ends_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture_bytes())
    command = [sys.executable, "-m", "rmbg_service", "remove", f"{tmp_path}/a.png", "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command, "-o", f"{tmp_path}/b.png"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "error: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes a file system of a size, or changes its size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False

    def resize(size: str) -> Path:
        nonlocal mounted
        options = f"size={size}" + (",remount" if mounted else "")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("no file system can be mounted here")
        mounted = True
        return folder

    yield resize
    if mounted:
        subprocess.run(["umount", folder], check=True)


async def remove(inputs: Path, outputs: Path) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and lines of a batch."""
    report = StringIO()
    batch = Batch([str(inputs)], Target(outputs, False), RemovalOptions(detail="off"), as_json=True)
    with redirect_stdout(report):
        done = await run_batch(batch)
    return done.status, [json.loads(line) for line in report.getvalue().splitlines()]


async def test_a_batch_names_what_it_could_not_write_and_finishes_it_later(
    tmp_path: Path, small_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmbg_service.batch.batch.select_predictor", lambda _: FakePredictor())
    inputs = tmp_path / "in"
    inputs.mkdir()
    for number in range(4):
        (inputs / f"{number}.png").write_bytes(noise(250))  # a cutout has half of its 188 kB
    outputs = small_disk("300k") / "out"
    status, lines = await remove(inputs, outputs)
    kinds = [line["status"] for line in lines]
    assert status == 1
    assert set(kinds) == {"done", "failed"}
    for line in lines:
        if line["status"] == "failed":
            expected = rf"cannot write {outputs}/\d\.png: No space left on device"
            assert re.fullmatch(expected, line["error"])
    assert len(list(outputs.glob("*.png"))) == kinds.count("done")
    assert not list(outputs.glob("*.part"))

    small_disk("4m")
    status, lines = await remove(inputs, outputs)
    assert status == 0
    assert [line["status"] for line in lines].count("skipped") == kinds.count("done")
    assert len(list(outputs.glob("*.png"))) == 4
    for path in outputs.glob("*.png"):
        Image.open(path).load()


HANGS = """
import os, signal
from unittest.mock import patch
from rmbg_service.cli import main
from tests.fakes import FakePredictor

def hang(_):
    print("writing", flush=True)
    signal.pause()

with patch("rmbg_service.batch.batch.select_predictor", lambda _: FakePredictor()):
    os.fsync = hang
    main()
"""
"""A batch that never gets its first output on the disk."""


async def test_a_killed_batch_leaves_a_file_that_the_next_one_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmbg_service.batch.batch.select_predictor", lambda _: FakePredictor())
    inputs, outputs = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    (inputs / "a.png").write_bytes(picture_bytes())
    command = ["-c", HANGS, "remove", str(inputs), "-o", str(outputs)]
    with launched(command) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "writing\n"
    assert killed.returncode == -signal.SIGKILL
    assert len([*outputs.glob("*.part")]) == 1

    status, lines = await remove(inputs, outputs)
    assert (status, [line["status"] for line in lines]) == (0, ["done"])
    assert {path.name for path in outputs.iterdir()} == {"a.png", ".rmbg-service.jsonl"}
