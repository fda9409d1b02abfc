"""The items of a batch on object stores, and the manifest beside the outputs."""

import asyncio
import platform
import posixpath
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from rmbg_service.batch.manifest import FOLDER, Manifest, Row
from rmbg_service.batch.names import DEFAULT_NAME, Variant
from rmbg_service.batch.plan import Plan, Planned
from rmbg_service.batch.removers.remover import Removed
from rmbg_service.batch.run import Finished, Item, Result, Status
from rmbg_service.batch.stores import Store
from rmbg_service.system.files import digest


@dataclass(frozen=True)
class Provenance:
    """What an output was made with: fingerprint of the options, name and revision of the model."""

    fingerprint: str
    model: str
    revision: str


class ObjectSource:
    """The items of a plan; every result becomes a row of the manifest."""

    def __init__(
        self,
        inputs: Sequence[str],
        out: str,
        variant: Variant,
        provenance: Provenance,
        *,
        name: str = DEFAULT_NAME,
        force: bool,
    ) -> None:
        self.out = Store(out)
        self.provenance = provenance
        self.manifest = Manifest(self.out)
        self.plan = Plan(inputs, self.out, variant, self.manifest, name=name, force=force)
        folders = {posixpath.dirname(planned.output) for planned in self.plan.todo}
        self.out.sweep(folders | {self.out.below(FOLDER)})

    @property
    def total(self) -> int | None:
        """How many inputs there are."""
        return len(self.plan.todo) + len(self.plan.skipped) + len(self.plan.failed)

    async def items(self, report: Callable[[Result], Awaitable[None]]) -> AsyncIterator[Item]:
        """The objects that remain to be done; all others go to `report`."""
        for result in (*self.plan.failed, *self.plan.skipped):
            await report(result)
        for planned in self.plan.todo:
            yield ObjectItem(planned, self.out, self.provenance, self.manifest)

    async def ended(self, result: Result) -> None:
        """Record a failure, in a thread: the manifest may be written to the store."""
        if result.status is Status.FAILED:
            await asyncio.to_thread(self.record_failure, result)

    def record_failure(self, result: Result) -> None:
        """Add the row of a result that is a failure."""
        self.manifest.add(failed_row(str(result.source), result.error, self.provenance))

    def close(self) -> None:
        """Write the last rows."""
        self.manifest.flush()


class ObjectItem:
    """An object and its cutout."""

    def __init__(
        self, planned: Planned, out: Store, provenance: Provenance, manifest: Manifest
    ) -> None:
        self._planned = planned
        self._out = out
        self._provenance = provenance
        self._manifest = manifest
        self._started = time.perf_counter()

    @property
    def source(self) -> str:
        """See `Item.source`."""
        return self._planned.input

    @property
    def outputs(self) -> Sequence[str]:
        """See `Item.outputs`."""
        return [self._out.name_of(self._planned.output)]

    def read(self, max_bytes: int) -> bytes:
        """See `Item.read`."""
        self._started = time.perf_counter()
        return self._planned.source.read(self._planned.found, max_bytes)

    def skips(self, data: bytes) -> Finished | None:  # noqa: ARG002 - the plan has skipped it
        """See `Item.skips`."""
        return None

    def store(self, removed: Removed) -> None:
        """See `Item.store`."""
        self._out.write(self._planned.output, removed.data)
        seconds = time.perf_counter() - self._started
        found, output = self._planned.found, self.outputs[0]
        self._manifest.add(
            done_row(
                self.source, found.version, found.size, output, removed, self._provenance, seconds
            )
        )


def done_row(
    source: str,
    version: str,
    size: int,
    output: str,
    removed: Removed,
    provenance: Provenance,
    seconds: float,
) -> Row:
    """The row of an output that has been written."""
    left, top, right, bottom = removed.box or (-1, -1, -1, -1)
    return Row(
        input=source,
        output=output,
        status=Status.DONE.value,
        error="",
        input_version=version,
        input_bytes=size,
        output_bytes=len(removed.data),
        output_sha256=digest(removed.data),
        fingerprint=provenance.fingerprint,
        model=provenance.model,
        revision=provenance.revision,
        ms=round(seconds * 1e3, 1),
        box_left=left,
        box_top=top,
        box_right=right,
        box_bottom=bottom,
        node=platform.node(),
    )


def failed_row(source: str, error: str, provenance: Provenance) -> Row:
    """The row of an input that has no output."""
    return Row(
        input=source,
        output="",
        status=Status.FAILED.value,
        error=error,
        input_version="",
        input_bytes=0,
        output_bytes=0,
        output_sha256="",
        fingerprint=provenance.fingerprint,
        model=provenance.model,
        revision=provenance.revision,
        ms=0.0,
        node=platform.node(),
    )
