from collections.abc import Iterator
from pathlib import Path

import pytest

from rmbg_service.models import download
from rmbg_service.models.store import Store
from tests.models.file_server import FileServer, serving_files


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A host of files, which a stalled download asks again at once."""
    monkeypatch.setattr(download, "_RETRY_DELAY_S", 0)
    with serving_files() as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")
