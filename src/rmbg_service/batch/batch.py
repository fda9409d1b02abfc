"""One call of `rmbg-service remove`, from its inputs to its exit status."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NamedTuple

from rmbg_service.batch.folders import FolderSource
from rmbg_service.batch.journal import options_fingerprint
from rmbg_service.batch.names import DEFAULT_NAME, Variant
from rmbg_service.batch.objects import ObjectSource, Provenance
from rmbg_service.batch.outputs import Target
from rmbg_service.batch.removers.local import LocalRemover, local_remover
from rmbg_service.batch.removers.remote import KEY_VARIABLE, RemoteRemover, remote_remover
from rmbg_service.batch.removers.remover import RemoverFailed
from rmbg_service.batch.report import Report
from rmbg_service.batch.run import Result, Run
from rmbg_service.batch.stop import stop_on_signals
from rmbg_service.models.catalog import find
from rmbg_service.models.select import MATTE_SETTINGS, select_predictor
from rmbg_service.removal.attachments import Files
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import require_matting_model
from rmbg_service.removal.result import encoder_of
from rmbg_service.settings import Settings, load_settings


@dataclass(frozen=True)
class Batch:
    """What to process, and where: `server` is a service's URL, or None for this process.

    `settings` override those of the environment, for this process; `parallel` is for a service.
    `files` are the images that come with each input, such as a background. `further` options make
    further files of each image, such as those of several presets; `name` is the template of the
    outputs' names. `poll` makes `watch` list the folders instead of waiting for notices of the
    kernel.
    """

    inputs: list[str]
    target: Target
    options: RemovalOptions
    files: Files = field(default_factory=dict)
    further: Sequence[RemovalOptions] = ()
    name: str = DEFAULT_NAME
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
            return remote_remover(
                self.server, key, self.options, self.files, stop, self.parallel, self.further
            )
        settings = load_settings(**self.settings)
        predictor = select_predictor(settings)
        require_matting_model(self.options, predictor)
        return local_remover(settings, predictor, self.options, self.files, stop, self.further)

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

    def variants(self, model: str) -> list[Variant]:
        """The cutouts that each image gets."""
        return [
            Variant(
                options.preset or "",
                f".{encoder_of(options).extension}",
                options_fingerprint(options, self.files, model, self.changed_settings),
            )
            for options in (self.options, *self.further)
        ]

    def provenance(self, model: str) -> Provenance:
        """What the outputs depend on besides their inputs."""
        fingerprint = self.variants(model)[0].fingerprint
        row = find(model)
        revision = load_settings(**self.settings).model_revision or (row and row.revision) or ""
        return Provenance(fingerprint, model, revision if self.server is None else "")

    def source(self, stop: asyncio.Event, model: str) -> FolderSource | ObjectSource:
        """Where the items come from. Raises `ConfigurationError`."""
        if self.target.url is not None:
            return self.object_source(model)
        return FolderSource(
            self.inputs,
            self.target,
            self.variants(model),
            stop,
            name=self.name,
            watch=self.watch,
            poll=self.poll,
            force=self.force,
        )

    def object_source(self, model: str) -> ObjectSource:
        """Where the items come from if the target is a URL. Raises `ConfigurationError`."""
        assert self.target.url is not None
        (variant,) = self.variants(model)
        return ObjectSource(
            self.inputs,
            self.target.url,
            variant,
            self.provenance(model),
            name=self.name,
            force=self.force,
        )


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
            source = await asyncio.to_thread(batch.source, stop.event, remover.model)
            remover_failed = False
            with Report(source.total, as_json=batch.as_json) as report:

                async def add(result: Result) -> None:
                    report.add(result)
                    await source.ended(result)

                run = Run(remover, stop.event, add)
                if source.total == 0:
                    report.say(f"no images in {', '.join(batch.inputs)}")
                try:
                    await run.over(source.items(add))
                except RemoverFailed as error:
                    report.say(f"error: {error}")
                    remover_failed = True
                except asyncio.CancelledError:
                    if not stop.signal:
                        raise
                finally:
                    await asyncio.to_thread(source.close)
            report.summarise(batch.target.url or batch.target.path)
        work_left = isinstance(remover, LocalRemover) and remover.engine.work_left
    if stop.signal and not batch.watch:
        if not batch.target.is_file:
            report.say("interrupted; run the same command again to continue")
        return Ending(128 + stop.signal, work_left)
    return Ending(int(report.failed or remover_failed), work_left)
