"""`remove --ray`: one batch on a Ray cluster, by Ray Data."""

import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from types import FrameType
from typing import Any

from rmbg_service.batch.batch import Batch
from rmbg_service.batch.manifest import Row
from rmbg_service.batch.objects import ObjectSource
from rmbg_service.batch.plan import Planned
from rmbg_service.batch.removers.remover import RemoverFailed
from rmbg_service.batch.report import Report
from rmbg_service.batch.run import Result, Status
from rmbg_service.batch.stores import Store
from rmbg_service.cluster.attempts import ClusterAttempts
from rmbg_service.cluster.connection import connected
from rmbg_service.errors import ConfigurationError
from rmbg_service.models.select import select_predictor
from rmbg_service.settings import load_settings
from rmbg_service.system.exit import INTERRUPTED, TERMINATED
from rmbg_service.types import Box

BLOCK_PHOTOS = 8
BLOCK_BYTES = 32_000_000
"""A block of photos ends at either; a photo that is larger is a block of its own."""

_CALLS_PER_ACTOR = 2
_READ_TASKS_PER_ACTOR = 2


@dataclass(frozen=True)
class Pool:
    """The pool of actors: `min_actors` to `max_actors` processes with a model, by the load.

    Each has `cpus` CPUs, which are also its codec threads, and `gpus` GPUs. None for both numbers
    means as many as the cluster has room for.
    """

    min_actors: int | None = None
    max_actors: int | None = None
    cpus: int = 1
    gpus: int = 0

    @classmethod
    def parse(cls, actors: str | None, cpus: int, gpus: int) -> "Pool":
        """`actors` is `4` or `1:8`. Raises `ConfigurationError`."""
        if actors is None:
            return cls(cpus=cpus, gpus=gpus)
        low, _, high = actors.partition(":")
        try:
            pool = cls(int(low), int(high or low), cpus, gpus)
        except ValueError:
            raise ConfigurationError(f"--actors: expected 4 or 1:8, got {actors}") from None
        if not 1 <= (pool.min_actors or 0) <= (pool.max_actors or 0):
            raise ConfigurationError(f"--actors: expected 4 or 1:8, got {actors}")
        return pool


def remove_on_ray(batch: Batch, address: str, pool: Pool) -> int:
    """Process a batch whose target is a URL, and print a summary on stderr; the exit status.

    It is that of `run_batch`, but a signal drops what is in flight: Ray's workers end with the
    connection.
    """
    source = batch.object_source(select_predictor(load_settings(**batch.settings)).name)
    status = 0
    connection = connected(address) if source.plan.todo else nullcontext()
    report = Report(source.total, as_json=batch.as_json)
    # Ray prints what happens to its nodes on stdout, which is for the lines of JSON.
    with report, redirect_stdout(sys.stderr), connection:
        before = signal.signal(signal.SIGTERM, _terminate)
        try:
            _process(batch, source, pool, report)
        except RemoverFailed as error:
            report.say(f"error: {error}")
            status = 1
        except (KeyboardInterrupt, _Terminated) as stopped:
            status = INTERRUPTED if isinstance(stopped, KeyboardInterrupt) else TERMINATED
        finally:
            signal.signal(signal.SIGTERM, before)
            source.close()
    report.summarise(batch.target.url)
    if status in (INTERRUPTED, TERMINATED):
        report.say("interrupted; run the same command again to continue")
    return status or int(report.failed)


def _process(batch: Batch, source: ObjectSource, pool: Pool, report: Report) -> None:
    for result in source.plan.failed:
        source.record_failure(result)
    for result in (*source.plan.failed, *source.plan.skipped):
        report.add(result)
    if not source.plan.todo:
        return
    for row in _rows(batch, source, pool):
        source.manifest.add(row)
        report.add(_result(row))


def _rows(batch: Batch, source: ObjectSource, pool: Pool) -> Iterator[Row]:
    """Run the pipeline: keys -> bytes in tasks -> cutouts in actors -> rows."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy

    from rmbg_service.cluster.tasks import RemovalActor, Work, read_objects

    logging.getLogger("ray.data").setLevel(logging.ERROR)  # its import has set it
    context = DataContext.get_current()
    context.enable_progress_bars = False
    settings = load_settings(**batch.settings)
    threads = {"codec_threads": pool.cpus, "cpu_threads": pool.cpus}
    work = Work(
        settings.model_copy(update=threads),
        batch.options,
        batch.files,
        source.provenance,
        source.out,
        ClusterAttempts(),
    )
    stores, blocks = _blocks(source.plan.todo)
    resources = ray.cluster_resources()
    fits = int(
        resources.get("GPU", 0) // pool.gpus if pool.gpus else resources.get("CPU", 0) // pool.cpus
    )
    most = min(pool.max_actors or fits, len(blocks))
    actors = ActorPoolStrategy(
        min_size=max(1, min(pool.min_actors or most, most)),
        max_size=max(1, most),
        max_concurrent_calls_per_actor=_CALLS_PER_ACTOR,
        max_tasks_in_flight_per_actor=_CALLS_PER_ACTOR,
        enable_true_multi_threading=True,
    )
    rows = (
        ray.data.from_arrow(blocks)
        .map_batches(
            read_objects,
            fn_args=[stores, settings.max_body_bytes],
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=0,  # it waits for the network
            compute=TaskPoolStrategy(size=min(max(1, most) * _READ_TASKS_PER_ACTOR, len(blocks))),
        )
        .map_batches(
            RemovalActor,
            fn_constructor_args=[work],
            batch_size=None,
            batch_format="pyarrow",
            compute=actors,
            num_cpus=pool.cpus,
            num_gpus=pool.gpus,
        )
    )
    try:
        for found in rows.iter_batches(batch_size=None, batch_format="pyarrow"):
            for members in found.to_pylist():
                yield Row(**members)
    except ray.exceptions.RayError as error:
        raise RemoverFailed(f"Ray ended the run: {_last_line(error)}") from None


def _blocks(todo: Sequence[Planned]) -> tuple[list[Store], list[Any]]:
    """The file systems, and tables of photos that are read, predicted and written together."""
    import pyarrow as pa

    from rmbg_service.cluster.tasks import KEYS

    stores: dict[Any, Store] = {}
    tables, rows, total = [], list[dict[str, Any]](), 0
    for planned in todo:
        key = planned.source.file_system
        stores.setdefault(key, planned.source)
        found = planned.found
        if rows and (len(rows) == BLOCK_PHOTOS or total + found.size > BLOCK_BYTES):
            tables.append(pa.Table.from_pylist(rows, KEYS))
            rows, total = [], 0
        total += found.size
        rows.append(
            {
                "store": [*stores].index(key),
                "path": found.path,
                "size": found.size,
                "version": found.version,
                "input": planned.input,
                "output": planned.output,
            }
        )
    tables.append(pa.Table.from_pylist(rows, KEYS))
    return [*stores.values()], tables


def _result(row: Row) -> Result:
    box = Box(row.box_left, row.box_top, row.box_right, row.box_bottom)
    return Result(
        row.input,
        [row.output] if row.output else [],
        Status(row.status),
        row.ms / 1e3,
        None if row.box_left < 0 else box,
        row.error,
    )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


class _Terminated(BaseException):
    """SIGTERM."""


def _terminate(_: int, __: FrameType | None) -> None:
    raise _Terminated
