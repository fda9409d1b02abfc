"""One call of `rmbg-service remove`, from its inputs to its exit status."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rmbg_service.batch.inputs import InputImage, UnreadableInput, find_inputs
from rmbg_service.batch.journal import Journal, options_fingerprint
from rmbg_service.batch.outputs import OutputPaths, Target, encoder_of
from rmbg_service.batch.removers.local import LocalRemover, local_remover
from rmbg_service.batch.removers.remote import KEY_VARIABLE, RemoteRemover, remote_remover
from rmbg_service.batch.removers.remover import RemoverFailed
from rmbg_service.batch.report import Report
from rmbg_service.batch.run import Item, Result, Run, Status
from rmbg_service.batch.stop import stop_on_signals
from rmbg_service.batch.watch import changes, watched_images
from rmbg_service.models.select import MATTE_SETTINGS, select_predictor
from rmbg_service.removal.attachments import Files
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings, load_settings


@dataclass(frozen=True)
class Batch:
    """What to process, and where: `server` is a service's URL, or None for this process.

    `settings` override those of the environment, for this process; `parallel` is for a service.
    `files` are the images that come with each input, such as a background. `poll` makes `watch`
    list the folders instead of waiting for notices of the kernel.
    """

    inputs: list[str]
    target: Target
    options: RemovalOptions
    files: Files = field(default_factory=dict)
    server: str | None = None
    parallel: int | None = None
    settings: dict[str, str | None] = field(default_factory=dict)
    watch: bool = False
    poll: bool = False
    force: bool = False
    as_json: bool = False

    def remover(
        self, stop: asyncio.Event
    ) -> AbstractAsyncContextManager[LocalRemover | RemoteRemover]:
        """What removes the backgrounds; the context closes it."""
        if self.server is not None:
            key = os.environ.get(KEY_VARIABLE, "")
            return remote_remover(self.server, key, self.options, self.files, stop, self.parallel)
        settings = load_settings(**self.settings)
        predictor = select_predictor(settings)
        return local_remover(settings, predictor, self.options, self.files, stop)

    @property
    def changed_settings(self) -> dict[str, object]:
        """Settings that this process's mattes depend on and that differ from their defaults.

        Empty for a service: its settings are not known.
        """
        if self.server is not None:
            return {}
        values = load_settings(**self.settings).model_dump(mode="json", include={*MATTE_SETTINGS})
        defaults = Settings.model_fields
        return {name: value for name, value in values.items() if value != defaults[name].default}


class Ending(NamedTuple):
    """The exit status; `work_left` says that a normal exit would wait for a thread."""

    status: int
    work_left: bool


async def run_batch(batch: Batch) -> Ending:
    """Process the batch and print a summary on stderr.

    The exit status is 0, 1 if a file failed or nothing more could be removed, or 128 plus the
    number of the signal that ended it. A signal is the normal end of watching.
    """
    with stop_on_signals() as stop:
        async with batch.remover(stop.event) as remover:
            source = _Source(batch, stop.event, remover.model)
            remover_failed = False
            with Report(source.total, as_json=batch.as_json) as report:

                def add(result: Result) -> None:
                    report.add(result)
                    if result.retryable:
                        source.retry(result.source)

                run = Run(remover, stop.event, add, source.journal, source.fingerprint)
                if source.total == 0:
                    report.say(f"no images in {', '.join(batch.inputs)}")
                try:
                    await run.over(source.items(report))
                except RemoverFailed as error:
                    report.say(f"error: {error}")
                    remover_failed = True
                except asyncio.CancelledError:
                    if not stop.signal:
                        raise
            report.summarise()
        work_left = isinstance(remover, LocalRemover) and remover.engine.work_left
    if stop.signal and not batch.watch:
        return Ending(128 + stop.signal, work_left)
    return Ending(int(report.failed or remover_failed), work_left)


class _Source:
    """The items of a batch; if the target is a folder, also their paths and the journal."""

    def __init__(self, batch: Batch, stop: asyncio.Event, model: str) -> None:
        self._batch = batch
        self._stop = stop
        self.fingerprint = options_fingerprint(
            batch.options, batch.files, model, batch.changed_settings
        )
        self.journal: Journal | None = None
        self._found: list[InputImage | UnreadableInput] = []
        self._failed: set[Path] = set()
        if not batch.watch:
            self._found = list(find_inputs(batch.inputs, batch.target.path))
        if not batch.target.is_file:
            self.journal = Journal(batch.target.path, skip=not batch.force)
            suffix = f".{encoder_of(batch.options).extension}"
            inputs = [found.path for found in self._found]
            self._paths = OutputPaths(batch.target.path, suffix, self.journal.owners, inputs)

    @property
    def total(self) -> int | None:
        """How many inputs there are; None if that is not known."""
        return None if self._batch.watch else len(self._found)

    async def items(self, report: Report) -> AsyncIterator[Item]:
        """The images, each with its output; unreadable inputs go to `report`."""

        def fail(found: UnreadableInput) -> None:
            report.add(Result(found.path, None, Status.FAILED, error=found.reason))

        if self._batch.watch:
            inputs, out = self._batch.inputs, self._batch.target.path
            ticks = changes(inputs, self._stop, poll=self._batch.poll)
            async for image in watched_images(inputs, out, ticks, fail, self._failed):
                yield self._item(image)
            return
        for found in self._found:
            if isinstance(found, UnreadableInput):
                fail(found)
            else:
                yield self._item(found)

    def retry(self, path: Path) -> None:
        """While watching, yield this image once more after a pause."""
        self._failed.add(path)

    def _item(self, image: InputImage) -> Item:
        if self._batch.target.is_file:
            return Item(image.path, self._batch.target.path)
        return Item(image.path, self._paths.output_of(image))
