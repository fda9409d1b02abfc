"""What is already finished: one line of JSON for each file, beside the outputs."""

import json
import logging
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from rmbg_service.errors import ConfigurationError
from rmbg_service.removal.attachments import Files
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.system.files import absolute_path, digest, file_digest, is_file
from rmbg_service.types import Box

FILE_NAME = ".rmbg-service.jsonl"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One finished file.

    `output` is relative to the journal's folder, `input` an absolute path; `input_sha256` and
    `output_sha256` are digests of their content. `fingerprint` is that of the options, see
    `options_fingerprint`.
    """

    output: str
    input: str
    input_sha256: str
    fingerprint: str
    output_sha256: str
    box: Box | None


class Journal:
    """The entries of one output folder: lines are only appended, the last one of an output counts.

    A line is on the disk only after its output is. A killed process therefore leaves at worst a
    finished file without a line, or half a line, which is ignored; that file is made again. Methods
    may be called from any thread; a folder belongs to one run at a time. Raises
    `ConfigurationError` if the file exists but cannot be read.
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
        """Each output that was written, and the input it was made of."""
        return {output: entry.input for output, entry in self._entries.items()}

    def find(self, output: Path, input_sha256: str, fingerprint: str) -> Entry | None:
        """The entry of an output that was made of this input with these options and still exists.

        Reads the output: one that has changed since does not count. Without `skip`, none counts.
        """
        entry = self._entries.get(self._relative(output))
        made_of = entry and (entry.input_sha256, entry.fingerprint)
        if not self._skip or made_of != (input_sha256, fingerprint):
            return None
        with suppress(OSError):
            if entry is not None and file_digest(output) == entry.output_sha256:
                return entry
        return None

    def keep_if_changed(self, output: Path) -> None:
        """Rename an output that is not as it was written, such as a retouched one."""
        entry = self._entries.get(self._relative(output))
        if entry is None or not is_file(output) or file_digest(output) == entry.output_sha256:
            return
        stem, suffix = output.stem, output.suffix
        paths = (output.with_name(f"{stem}.changed-{number}{suffix}") for number in count(1))
        kept = next(path for path in paths if not path.exists())
        output.rename(kept)
        log.warning("%s had been changed since it was written: kept as %s", output, kept.name)

    def add(
        self,
        output: Path,
        source: Path,
        *,
        input_sha256: str,
        fingerprint: str,
        data: bytes,
        box: Box | None,
    ) -> None:
        """Record that `output` holds `data`, made of `source`."""
        entry = Entry(
            self._relative(output),
            absolute_path(source),
            input_sha256,
            fingerprint,
            digest(data),
            box,
        )
        line = json.dumps(asdict(entry)).encode() + b"\n"
        with self._lock, self._path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # half a line of a killed process
                    line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
            self._entries[entry.output] = entry

    def _relative(self, output: Path) -> str:
        return output.relative_to(self._folder).as_posix()


def options_fingerprint(
    options: RemovalOptions,
    files: Files,
    model: str,
    settings: Mapping[str, object] | None = None,
) -> str:
    """A digest of everything that an output depends on besides its input.

    `settings` are those of the model that differ from their defaults; a service's are unknown.
    """
    digests = {name: digest(data) for name, data in files.items()}
    parts: list[object] = [options.model_dump(mode="json"), digests, model]
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
