"""The items of a batch on files and folders, and the journal of the output folder."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from rmbg_service.batch.inputs import InputImage, UnreadableInput, find_inputs
from rmbg_service.batch.journal import Journal
from rmbg_service.batch.outputs import OutputPaths, Target
from rmbg_service.batch.removers.remover import Removed
from rmbg_service.batch.run import Finished, Item, Result, Status
from rmbg_service.batch.watch import changes, watched_images
from rmbg_service.system.atomic import atomic_write
from rmbg_service.system.files import digest, read_bounded


@dataclass
class FileItem:
    """An image file and the path of its cutout; with a `journal`, finished ones are skipped."""

    source: Path
    output: Path
    journal: Journal | None = None
    fingerprint: str = ""
    _sha256: str = ""

    def read(self, max_bytes: int) -> bytes:
        """See `Item.read`."""
        return read_bounded(self.source, max_bytes)

    def skips(self, data: bytes) -> Finished | None:
        """See `Item.skips`."""
        if self.journal is None:
            return None
        self._sha256 = digest(data)
        entry = self.journal.find(self.output, self._sha256, self.fingerprint)
        return None if entry is None else Finished(entry.box)

    def store(self, removed: Removed) -> None:
        """See `Item.store`."""
        if self.output.exists() and self.output.samefile(self.source):
            raise FileExistsError("the output would replace its own input")
        atomic_write(self.output, removed.data)
        if self.journal is not None:
            self.journal.add(
                self.output,
                self.source,
                input_sha256=self._sha256,
                fingerprint=self.fingerprint,
                data=removed.data,
                box=removed.box,
            )


@dataclass(frozen=True)
class Watching:
    """Keep looking for new and changed files; `poll` lists the folders every second."""

    poll: bool


class FolderSource:
    """The items of files and folders; if the target is a folder, also their paths and the journal.

    `suffix` is that of the outputs, with its dot.
    """

    def __init__(
        self,
        inputs: list[str],
        target: Target,
        suffix: str,
        fingerprint: str,
        stop: asyncio.Event,
        *,
        watching: Watching | None,
        force: bool,
    ) -> None:
        self._inputs = inputs
        self._target = target
        self._fingerprint = fingerprint
        self._stop = stop
        self._watching = watching
        self._journal: Journal | None = None
        self._found: list[InputImage | UnreadableInput] = []
        self._failed: set[Path] = set()
        if watching is None:
            self._found = list(find_inputs(inputs, target.path))
        if not target.is_file:
            self._journal = Journal(target.path, skip=not force)
            paths = [found.path for found in self._found]
            self._paths = OutputPaths(target.path, suffix, self._journal.owners, paths)

    @property
    def total(self) -> int | None:
        """How many inputs there are; None if that is not known."""
        return None if self._watching else len(self._found)

    async def items(self, report: Callable[[Result], None]) -> AsyncIterator[Item]:
        """The images, each with its output; unreadable inputs go to `report`."""

        def fail(found: UnreadableInput) -> None:
            report(Result(found.path, None, Status.FAILED, error=found.reason))

        if self._watching:
            ticks = changes(self._inputs, self._stop, poll=self._watching.poll)
            out = self._target.path
            async for image in watched_images(self._inputs, out, ticks, fail, self._failed):
                yield self._item(image)
            return
        for found in self._found:
            if isinstance(found, UnreadableInput):
                fail(found)
            else:
                yield self._item(found)

    def ended(self, result: Result) -> None:
        """While watching, yield an image once more after a pause if it may then succeed."""
        if result.retryable:
            self._failed.add(Path(result.source))

    def close(self) -> None:
        """Nothing: every line of the journal is on the disk."""

    def _item(self, image: InputImage) -> Item:
        if self._target.is_file:
            return FileItem(image.path, self._target.path)
        output = self._paths.output_of(image)
        return FileItem(image.path, output, self._journal, self._fingerprint)
