"""What is done already: one line of JSON for each finished file, beside the outputs."""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rmbg_service.errors import ConfigurationError
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.system.files import digest, digest_of_file, place_of
from rmbg_service.types import Box

FILE_NAME = ".rmbg-service.jsonl"


@dataclass(frozen=True)
class Entry:
    """One finished file; `source`, `wanted` and `written` are SHA-256 digests.

    `output` is relative to the ledger's folder, `input` an absolute path. `wanted` stands for
    options, background, model and its settings, see `wish`.
    """

    output: str
    input: str
    source: str
    wanted: str
    written: str
    box: Box | None


class Ledger:
    """The entries of one output folder: lines are only added, the last one for an output counts.

    A line is added, and is on the disk, after its output is: what a killed process leaves is at
    the worst a finished file without a line, or half a line, which is passed over; both are done
    again. Methods may be called from any thread; a folder belongs to one run at a time. Raises
    `ConfigurationError` when the list is there but cannot be read.
    """

    def __init__(self, folder: Path, *, skip: bool = True) -> None:
        self._folder = folder
        self._skip = skip
        self._path = folder / FILE_NAME
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise ConfigurationError(f"{self._path}: {error.strerror or error}") from None
        for line in lines:
            entry = _parse(line)
            if entry is not None:
                self._entries[entry.output] = entry

    @property
    def owners(self) -> dict[str, str]:
        """Each output that was written, and the input it came from."""
        return {output: entry.input for output, entry in self._entries.items()}

    def find(self, output: Path, source: str, wanted: str) -> Entry | None:
        """The entry of an output that is made of the same source in the same way and still there.

        Reads the output: one that was changed since does not count. Without `skip`, none does.
        """
        entry = self._entries.get(self._relative(output))
        if not self._skip or entry is None or (entry.source, entry.wanted) != (source, wanted):
            return None
        return entry if digest_of_file(output) == entry.written else None

    def add(
        self, output: Path, source: Path, *, content: str, wanted: str, data: bytes, box: Box | None
    ) -> None:
        """Note that `output` holds `data`, made of `source`, whose digest is `content`."""
        entry = Entry(self._relative(output), place_of(source), content, wanted, digest(data), box)
        line = json.dumps(asdict(entry)).encode() + b"\n"
        with self._lock, self._path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # half a line, of a process that was killed
                    line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
            self._entries[entry.output] = entry

    def _relative(self, output: Path) -> str:
        return output.relative_to(self._folder).as_posix()


def wish(
    options: RemovalOptions,
    background: bytes | None,
    model: str,
    settings: Mapping[str, object] | None = None,
) -> str:
    """A digest of all that an output depends on besides its source.

    `settings` are those of the model that were changed; a service does not tell its own.
    """
    picture = None if background is None else digest(background)
    parts: list[object] = [options.model_dump(mode="json"), picture, model]
    if settings:
        parts.append(settings)
    return digest(json.dumps(parts, sort_keys=True).encode())


def _parse(line: bytes) -> Entry | None:
    try:
        fields = json.loads(line)
        box = fields.pop("box")
        entry = Entry(**fields, box=None if box is None else Box(*box))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    texts = all(isinstance(value, str) for value in fields.values())
    numbers = box is None or all(isinstance(side, int) for side in box)
    return entry if texts and numbers else None
