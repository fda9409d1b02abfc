"""One call of `rmbg-service remove`, from its inputs to its exit status."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rmbg_service.batch.inputs import Found, Missing, find
from rmbg_service.batch.journal import Ledger, wish
from rmbg_service.batch.names import Names
from rmbg_service.batch.outputs import Target, encoder_of
from rmbg_service.batch.removers.local import LocalRemover, local_remover
from rmbg_service.batch.removers.remote import KEY_VARIABLE, RemoteRemover, remote_remover
from rmbg_service.batch.removers.remover import Hopeless
from rmbg_service.batch.report import Report
from rmbg_service.batch.run import Item, Result, Run, Status
from rmbg_service.batch.stop import stop_on_signals
from rmbg_service.batch.watch import LOOK_EVERY_S, every, settled
from rmbg_service.models.select import MATTE_SETTINGS, select_predictor
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings, load_settings


@dataclass(frozen=True)
class Task:
    """What is to be done, and by whom: `server` is a service's URL, None this process.

    `settings` override the environment's, for this process; `parallel` is for a service.
    `background` is the file of a picture to put the cutouts on.
    """

    inputs: list[str]
    target: Target
    options: RemovalOptions
    background: bytes | None = None
    server: str | None = None
    parallel: int | None = None
    settings: dict[str, str | None] = field(default_factory=dict)
    watch: bool = False
    force: bool = False
    as_json: bool = False

    def remover(
        self, stop: asyncio.Event
    ) -> AbstractAsyncContextManager[LocalRemover | RemoteRemover]:
        """What does the work; the context closes it."""
        if self.server is not None:
            key = os.environ.get(KEY_VARIABLE, "")
            return remote_remover(
                self.server, key, self.options, self.background, stop, self.parallel
            )
        settings = load_settings(**self.settings)
        predictor = select_predictor(settings)
        return local_remover(settings, predictor, self.options, self.background, stop)

    @property
    def changed_settings(self) -> dict[str, object]:
        """Settings that the mattes of this process's model depend on and that are not the default.

        None through a service: there they are the service's.
        """
        if self.server is not None:
            return {}
        values = load_settings(**self.settings).model_dump(mode="json", include={*MATTE_SETTINGS})
        defaults = Settings.model_fields
        return {name: value for name, value in values.items() if value != defaults[name].default}


class Ending(NamedTuple):
    """How it ended; `stuck` says that a thread is at work that an ordinary exit would wait for."""

    status: int
    stuck: bool


async def perform(task: Task) -> Ending:
    """Do it, and tell on stderr how it went.

    The exit status is 0, 1 when a file failed or going on was in vain, 128 and the number of the
    signal that ended it. A signal is the ordinary end of watching.
    """
    with stop_on_signals() as stop:
        async with task.remover(stop.event) as remover:
            source = _Source(task, stop.event, remover.model)
            hopeless = False
            with Report(source.total, as_json=task.as_json) as report:

                def tell(result: Result) -> None:
                    report.add(result)
                    if result.may_pass:
                        source.retry(result.source)

                run = Run(remover, stop.event, tell, source.ledger, source.wanted)
                if source.total == 0:
                    report.say(f"no pictures in {', '.join(task.inputs)}")
                try:
                    await run.over(source.items(report))
                except Hopeless as reason:
                    report.say(f"error: {reason}")
                    hopeless = True
                except asyncio.CancelledError:
                    if not stop.signal:
                        raise
            report.summarise()
        stuck = isinstance(remover, LocalRemover) and remover.stuck
    if stop.signal and not task.watch:
        return Ending(128 + stop.signal, stuck)
    return Ending(int(report.failed or hopeless), stuck)


class _Source:
    """The items of a task; with a folder as target also their names and what is known of them."""

    def __init__(self, task: Task, stop: asyncio.Event, model: str) -> None:
        self._task = task
        self._stop = stop
        self.wanted = wish(task.options, task.background, model, task.changed_settings)
        self.ledger: Ledger | None = None
        self._found: list[Found | Missing] = []
        self._failed: set[Path] = set()
        if not task.watch:
            self._found = list(find(task.inputs, task.target.path))
        if not task.target.is_file:
            self.ledger = Ledger(task.target.path, skip=not task.force)
            suffix = f".{encoder_of(task.options).extension}"
            inputs = [found.path for found in self._found]
            self._names = Names(task.target.path, suffix, self.ledger.owners, inputs)

    @property
    def total(self) -> int | None:
        """How many there are; None when that is not known."""
        return None if self._task.watch else len(self._found)

    async def items(self, report: Report) -> AsyncIterator[Item]:
        """The pictures, each with its output; what is missing goes to `report`."""

        def tell(missing: Missing) -> None:
            report.add(Result(missing.path, None, Status.FAILED, error=missing.reason))

        if self._task.watch:
            look = every(LOOK_EVERY_S, self._stop)
            inputs, out = self._task.inputs, self._task.target.path
            async for found in settled(inputs, out, tell, look, self._failed):
                yield self._item(found)
            return
        for one in self._found:
            if isinstance(one, Missing):
                tell(one)
            else:
                yield self._item(one)

    def retry(self, path: Path) -> None:
        """While watching, give out this picture once more, after a pause."""
        self._failed.add(path)

    def _item(self, found: Found) -> Item:
        if self._task.target.is_file:
            return Item(found.path, self._task.target.path)
        return Item(found.path, self._names.output_of(found))
