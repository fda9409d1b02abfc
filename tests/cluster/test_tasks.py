"""What runs on a cluster's machines, in this process and with the embedded model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rmbg_service.batch.objects import Provenance
from rmbg_service.batch.removers.remover import RemoverFailed
from rmbg_service.batch.stores import Store
from rmbg_service.cluster.attempts import MAX_ATTEMPTS, LocalAttempts
from rmbg_service.cluster.tasks import KEYS, RemovalActor, Work, read_objects
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings
from tests.fakes import picture_bytes

NAMES = ["a.png", "b.png", "c.png"]


@pytest.fixture
def photos(tmp_path: Path) -> pa.Table:
    rows = []
    for name in NAMES:
        path = tmp_path / name
        path.write_bytes(picture_bytes())
        output = str(tmp_path / "out" / name)
        rows.append(
            {
                "store": 0,
                "path": str(path),
                "size": 9,
                "version": "v",
                "input": str(path),
                "output": output,
            }
        )
    return pa.Table.from_pylist(rows, KEYS)


def work(folder: Path, model: str = "u2netp") -> Work:
    return Work(
        Settings(),
        RemovalOptions(detail="off"),
        {},
        Provenance("fingerprint", model, "revision"),
        Store(str(folder / "out")),
        LocalAttempts(),
    )


@pytest.fixture(scope="module")
def actor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemovalActor]:
    made = RemovalActor(work(tmp_path_factory.mktemp("work")))
    yield made
    made.close()


def read(photos: pa.Table, folder: Path) -> pa.Table:
    return read_objects(photos, [Store(str(folder))], 1_000_000)


def test_what_cannot_be_read_is_a_row_with_an_error(photos: pa.Table, tmp_path: Path) -> None:
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").write_bytes(bytes(1_000_001))
    found = read(photos, tmp_path).to_pylist()
    assert [row["error"] for row in found] == [
        "No such file or directory",
        "the file is larger than the 1,000,000 bytes that are accepted",
        "",
    ]
    assert [row["data"] for row in found[:2]] == [None, None]
    assert found[2]["data"] == picture_bytes()


def test_every_photo_is_a_row_and_every_good_one_a_file(
    actor: RemovalActor, photos: pa.Table, tmp_path: Path
) -> None:
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").write_bytes(b"not an image")
    rows = actor(read(photos, tmp_path)).to_pylist()
    assert [row["status"] for row in rows] == ["failed", "failed", "done"]
    assert [Path(row["input"]).name for row in rows] == NAMES
    assert rows[1]["error"].startswith("not a readable image")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c.png"]
    assert rows[2]["output"] == str(tmp_path / "out" / "c.png")
    assert rows[2]["output_bytes"] == (tmp_path / "out" / "c.png").stat().st_size
    assert (rows[2]["model"], rows[2]["fingerprint"], rows[2]["input_version"]) == (
        "u2netp",
        "fingerprint",
        "v",
    )


def test_a_photo_that_kills_its_worker_fails_and_the_others_do_not(
    actor: RemovalActor, photos: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    removed: list[str] = []

    async def remove(self: RemovalActor, photo: dict[str, Any]) -> dict[str, Any]:
        if photo["input"].endswith("b.png"):
            raise Killed
        removed.append(photo["input"])
        return {"input": photo["input"], "status": "done", "error": ""}

    monkeypatch.setattr(RemovalActor, "_remove", remove)
    table, tries = read(photos, tmp_path), 0
    while True:
        try:
            rows = actor(table).to_pylist()
            break
        except Killed:  # Ray runs the call again, on another worker
            tries += 1
    assert tries == 1 + MAX_ATTEMPTS
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert "died of it 3 times" in rows[1]["error"]


def test_another_model_than_that_of_the_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RemoverFailed, match="expected the model BiRefNet, this node has u2netp"):
        RemovalActor(work(tmp_path, "BiRefNet"))
