"""What runs on the machines of a cluster: reading objects, and the actor that removes."""

import asyncio
import os
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import pyarrow as pa

from rmbg_service.batch.objects import Provenance, done_row, failed_row
from rmbg_service.batch.removers.local import LocalRemover, local_remover
from rmbg_service.batch.removers.remover import RemoverFailed
from rmbg_service.batch.run import explain
from rmbg_service.batch.stores import Store, StoredObject
from rmbg_service.cluster.attempts import MAX_ATTEMPTS, Attempts
from rmbg_service.models.select import select_predictor
from rmbg_service.removal.attachments import Files
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.serving.logs import silence_libraries
from rmbg_service.settings import Settings

_READERS = 8
_T = TypeVar("_T")

KEYS = pa.schema(
    {
        "store": pa.int32(),
        "path": pa.string(),
        "size": pa.int64(),
        "version": pa.string(),
        "input": pa.string(),
        "output": pa.string(),
    }
)
"""A photo to process: its file system, as an index, its path there, and that of its cutout."""

_READ = KEYS.append(pa.field("data", pa.large_binary())).append(pa.field("error", pa.string()))


@dataclass(frozen=True)
class Work:
    """What is the same for all photos; `settings` are those of an actor."""

    settings: Settings
    options: RemovalOptions
    files: Files
    provenance: Provenance
    out: Store
    attempts: Attempts


def read_objects(keys: pa.Table, stores: Sequence[Store], max_bytes: int) -> pa.Table:
    """The photos of `keys` with their bytes, several at once; an `error` if one cannot be read."""

    def read(key: Mapping[str, Any]) -> dict[str, Any]:
        try:
            found = StoredObject(key["path"], key["size"], key["version"])
            data = stores[key["store"]].read(found, max_bytes)
        except Exception as error:  # this photo's alone
            return {**key, "data": None, "error": explain(error)}
        return {**key, "data": data, "error": ""}

    with ThreadPoolExecutor(_READERS) as threads:
        return pa.Table.from_pylist([*threads.map(read, keys.to_pylist())], _READ)


class RemovalActor:
    """A loaded model and its codec threads: the engine that also serves, so the same bytes.

    Several calls may run at once, so that the model has work while a call writes its last cutouts.
    If a worker dies, Ray runs its calls again. Their photos are then tried one at a time, and one
    that did not survive `MAX_ATTEMPTS` of these fails.
    """

    def __init__(self, work: Work) -> None:
        silence_libraries()
        self._work = work
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._alone = threading.Lock()
        self._exits = AsyncExitStack()
        self._remover, self._slots = self._run(self._load())

    def __call__(self, photos: pa.Table) -> pa.Table:
        """Write the cutouts of `photos`, and return a row of the manifest for each."""
        rows = photos.to_pylist()
        call = f"call:{rows[0]['input']}"
        if self._work.attempts.begin(call) == 1:
            results = self._run(self._remove_all(rows))
        else:
            results = [self._remove_alone(photo) for photo in rows]
        self._work.attempts.end(call)
        return pa.Table.from_pylist(results)

    def _remove_alone(self, photo: dict[str, Any]) -> dict[str, Any]:
        attempts, key = self._work.attempts, photo["input"]
        with self._alone:  # so that a photo is not blamed for the death that another one causes
            if attempts.begin(key) > MAX_ATTEMPTS:
                died = f"the worker process died of it {MAX_ATTEMPTS} times"
                return asdict(failed_row(key, died, self._work.provenance))
            result = self._run(self._remove(photo))
            attempts.end(key)
        return result

    def close(self) -> None:
        """Free the model and end the thread; in a cluster, the end of the process does it."""
        self._run(self._exits.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _load(self) -> tuple[LocalRemover, asyncio.Semaphore]:
        work, stop = self._work, asyncio.Event()
        predictor = select_predictor(work.settings)
        if predictor.name != work.provenance.model:
            raise RemoverFailed(
                f"expected the model {work.provenance.model}, this node has {predictor.name}:"
                " set the same RMBG_MODEL and weights on all nodes"
            )
        remover = await self._exits.enter_async_context(
            local_remover(work.settings, predictor, work.options, work.files, stop)
        )
        await remover.load()
        return remover, asyncio.Semaphore(remover.parallel)

    async def _remove_all(self, photos: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return await asyncio.gather(*(self._remove(photo) for photo in photos))

    async def _remove(self, photo: dict[str, Any]) -> dict[str, Any]:
        work = self._work
        async with self._slots:
            started = time.perf_counter()
            try:
                if photo["error"]:
                    return asdict(failed_row(photo["input"], photo["error"], work.provenance))
                removed = await self._remover.remove(photo.pop("data"))
                await asyncio.to_thread(work.out.write, photo["output"], removed.data)
            except RemoverFailed:
                os._exit(1)  # the device is lost: Ray starts another actor and tries again
            except Exception as error:  # this photo's alone
                return asdict(failed_row(photo["input"], explain(error), work.provenance))
            seconds = time.perf_counter() - started
            output = work.out.name_of(photo["output"])
            version, size = photo["version"], photo["size"]
            return asdict(
                done_row(photo["input"], version, size, output, removed, work.provenance, seconds)
            )
