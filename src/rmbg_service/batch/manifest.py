"""What became of each object: Parquet files below the outputs, for resumption and for queries."""

import io
import logging
import posixpath
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from typing import Any

from rmbg_service.batch.stores import Store, StoredObject
from rmbg_service.errors import ConfigurationError
from rmbg_service.system.extras import missing_extra

log = logging.getLogger(__name__)

FOLDER = ".rmbg-service/manifest"
FLUSH_ROWS = 1000
FLUSH_S = 10.0
"""A killed run repeats at most what it finished in this time."""


@dataclass(frozen=True)
class Row:
    """How one object ended.

    `input` and `output` are URLs or local paths; `status` is `done` or `failed`, and then `error`
    says why. `input_version` is the ETag of the input, or its size and time; `fingerprint` that of
    the options, see `options_fingerprint`; `output_bytes` and `output_sha256` describe the file.
    The box of the subject in the upright input is in px, -1 if there is none. `node` is the machine
    that did it.
    """

    input: str
    output: str
    status: str
    error: str
    input_version: str
    input_bytes: int
    output_bytes: int
    output_sha256: str
    fingerprint: str
    model: str
    revision: str
    ms: float
    box_left: int = -1
    box_top: int = -1
    box_right: int = -1
    box_bottom: int = -1
    node: str = ""


@dataclass(frozen=True)
class Done:
    """What resumption needs of a finished row; `output_bytes` is the size it was written with."""

    input: str
    input_version: str
    fingerprint: str
    output_bytes: int


class Manifest:
    """The rows of all runs below one output folder; the last row of an output counts.

    Rows are kept until there are `FLUSH_ROWS` of them or the oldest is `FLUSH_S` old, and then
    written as one numbered Parquet file; if that fails, they are kept for the next time. Methods
    may be called from any thread; a folder belongs to one run at a time. Raises
    `ConfigurationError` for a file that cannot be read, and if pyarrow is not installed.
    """

    def __init__(self, store: Store) -> None:
        if find_spec("pyarrow") is None:
            raise missing_extra("cloud", "the manifest")
        self._store = store
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._since = time.monotonic()
        folder = Store(f"{store.url}/{FOLDER}")
        self._parts = [part for part in folder.find() if part.path.endswith(".parquet")]

    @property
    def next_part(self) -> int:
        """The number of the next file."""
        numbers = [posixpath.basename(part.path).removesuffix(".parquet") for part in self._parts]
        return 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)

    def done(self) -> dict[str, Done]:
        """The last finished row of each output, by the output."""
        columns = ["output", "status", "input", "input_version", "fingerprint", "output_bytes"]
        found: dict[str, Done] = {}
        for part in self._parts:
            for row in self._read(part, columns):
                output, status = row.pop("output"), row.pop("status")
                if status == "done":
                    found[output] = Done(**row)
        return found

    def rows(self) -> Iterable[Row]:
        """All rows of all runs, oldest first."""
        names = [field.name for field in fields(Row)]
        for part in self._parts:
            for row in self._read(part, names):
                yield Row(**row)

    def add(self, row: Row) -> None:
        """Record a row; it is in the store after the next flush."""
        with self._lock:
            self._rows.append(row)
            full = len(self._rows) % FLUSH_ROWS == 0
            if full or time.monotonic() - self._since > FLUSH_S:
                try:
                    self._flush()
                except Exception as error:  # each library has its own
                    log.warning("the manifest cannot be written yet: %s", error)

    def flush(self) -> None:
        """Write the rows that are not in the store yet. Raises `OSError`."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        self._since = time.monotonic()
        if not self._rows:
            return
        import pyarrow as pa  # 0.1 s, and only here
        from pyarrow import parquet

        buffer = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist([asdict(row) for row in self._rows]), buffer)
        path = self._store.below(f"{FOLDER}/{self.next_part:08d}.parquet")
        data = buffer.getvalue()
        self._store.write(path, data)
        self._parts.append(StoredObject(path, len(data), ""))
        self._rows = []

    def _read(self, part: StoredObject, columns: list[str]) -> list[dict[str, Any]]:
        import pyarrow as pa
        from pyarrow import parquet

        try:
            data = io.BytesIO(self._store.read(part, part.size))
            table = parquet.read_table(data, columns=columns)
        except (OSError, pa.ArrowException) as error:
            name = self._store.name_of(part.path)
            raise ConfigurationError(f"{name} cannot be read: {error}; delete it") from None
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows
