"""The items of a batch on files and folders, and the journal of the output folder."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from rmbg_service.batch.inputs import InputImage, UnreadableInput, find_inputs
from rmbg_service.batch.journal import Journal
from rmbg_service.batch.names import DEFAULT_NAME, OutputPaths, Variant
from rmbg_service.batch.outputs import Target
from rmbg_service.batch.removers.remover import Removed
from rmbg_service.batch.run import Finished, Item, Result, Status
from rmbg_service.batch.watch import changes, watched_images
from rmbg_service.errors import ConfigurationError
from rmbg_service.system.atomic import atomic_write
from rmbg_service.system.files import digest, read_bounded
from rmbg_service.system.locks import FolderLock


@dataclass
class FileItem:
    """An image file and its cutouts.

    `made` has the path of each cutout, and the fingerprint of its options. With a `journal`,
    finished ones are skipped, and changed ones are kept under another name.
    """

    source: Path
    made: Sequence[tuple[Path, str]]
    journal: Journal | None = None
    _sha256: str = ""

    @property
    def outputs(self) -> Sequence[Path]:
        """See `Item.outputs`."""
        return [path for path, _ in self.made]

    def read(self, max_bytes: int) -> bytes:
        """See `Item.read`."""
        return read_bounded(self.source, max_bytes)

    def skips(self, data: bytes) -> Finished | None:
        """See `Item.skips`."""
        if self.journal is None:
            return None
        self._sha256 = digest(data)
        entries = [self.journal.find(path, self._sha256, made) for path, made in self.made]
        if entries[0] is None or None in entries:
            return None
        return Finished(entries[0].box)

    def store(self, removed: Removed) -> None:
        """See `Item.store`."""
        files = (removed.data, *removed.further)
        for (path, fingerprint), data in zip(self.made, files, strict=True):
            if path.exists() and path.samefile(self.source):
                raise FileExistsError("the output would replace its own input")
            if self.journal is not None:
                self.journal.keep_if_changed(path)
            atomic_write(path, data)
            if self.journal is not None:
                self.journal.add(
                    path,
                    self.source,
                    input_sha256=self._sha256,
                    fingerprint=fingerprint,
                    data=data,
                    box=removed.box,
                )


class FolderSource:
    """The items of files and folders; if the target is a folder, also their paths and the journal.

    Each image gets a cutout for each of `variants`, named by the template `name`. `watch` keeps
    looking for new and changed files; `poll` then lists the folders every second. Raises
    `ConfigurationError` if the output folder cannot be written, and while another run uses it: two
    would give the same names to different images.
    """

    def __init__(
        self,
        inputs: list[str],
        target: Target,
        variants: Sequence[Variant],
        stop: asyncio.Event,
        *,
        name: str = DEFAULT_NAME,
        watch: bool,
        poll: bool,
        force: bool,
    ) -> None:
        self._inputs = inputs
        self._target = target
        self._variants = variants
        self._stop = stop
        self._watch = watch
        self._poll = poll
        self._journal: Journal | None = None
        self._lock: FolderLock | None = None
        self._found: list[InputImage | UnreadableInput] = []
        self._failed: set[Path] = set()
        if not watch:
            self._found = list(find_inputs(inputs, target.path))
        if not target.is_file:
            if watch or self._found:
                _require_writable(target.path)
                self._lock = _locked(target.path)
            self._journal = Journal(target.path, skip=not force)
            paths = [found.path for found in self._found]
            self._paths = OutputPaths(target.path, self._journal.owners, paths, name)

    @property
    def total(self) -> int | None:
        """How many inputs there are; None if that is not known."""
        return None if self._watch else len(self._found)

    async def items(self, report: Callable[[Result], Awaitable[None]]) -> AsyncIterator[Item]:
        """The images, each with its outputs; unreadable inputs go to `report`."""

        async def fail(found: UnreadableInput) -> None:
            await report(Result(found.path, (), Status.FAILED, error=found.reason))

        if self._watch:
            ticks = changes(self._inputs, self._stop, poll=self._poll)
            out = self._target.path
            async for image in watched_images(self._inputs, out, ticks, fail, self._failed):
                yield self._item(image)
            return
        for found in self._found:
            if isinstance(found, UnreadableInput):
                await fail(found)
            else:
                yield self._item(found)

    async def ended(self, result: Result) -> None:
        """While watching, yield an image once more after a pause if it may then succeed."""
        if result.retryable:
            self._failed.add(Path(result.source))

    def close(self) -> None:
        """Let other runs use the output folder; every line of the journal is on the disk."""
        if self._lock is not None:
            self._lock.close()

    def _item(self, image: InputImage) -> Item:
        if self._target.is_file:
            return FileItem(image.path, [(self._target.path, "")])
        made = [
            (self._paths.output_of(image, variant), variant.fingerprint)
            for variant in self._variants
        ]
        return FileItem(image.path, made, self._journal)


def _require_writable(folder: Path) -> None:
    """Make the output folder and a file in it: else every image would fail after its removal."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"cannot write to {folder}: {error.strerror or error}; name another folder with -o"
        ) from None


def _locked(folder: Path) -> FolderLock | None:
    """The lock of an output folder; None on a file system without locks."""
    try:
        return FolderLock(folder)
    except BlockingIOError:
        raise ConfigurationError(
            f"another run writes to {folder}: wait for its end, or name another folder with -o"
        ) from None
    except OSError:
        return None
