"""Evaluate one candidate on a dataset; a second run does only what is missing."""

import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from rmbg_service.errors import ConfigurationError, DeviceFailure, InvalidImage
from rmbg_service.evaluation.candidates import Candidate, Predict
from rmbg_service.evaluation.dataset import Sample, load_matte, load_rgb, load_shadow, sample_digest
from rmbg_service.evaluation.measures import measure
from rmbg_service.evaluation.records import Record, append_record, read_records, write_records
from rmbg_service.system.atomic import atomic_replace
from rmbg_service.types import Matte

TABLE, MATTES = "per_image.csv", "mattes"
"""The file with the rows of one candidate and the folder of its mattes, both in its folder."""


@dataclass(frozen=True)
class Failure:
    """A photo that could not be evaluated, and why."""

    id: str
    error: str


@dataclass(frozen=True)
class Outcome:
    """The results of one candidate; records are in the dataset's order."""

    candidate: str
    source: str
    folder: Path
    records: list[Record]
    failures: list[Failure]

    def on(self, samples: Sequence[Sample]) -> "Outcome":
        """The same with the records of `samples` only."""
        ids = {sample.id for sample in samples}
        return replace(self, records=[record for record in self.records if record.id in ids])


def run(
    candidate: Candidate,
    samples: Sequence[Sample],
    folder: Path,
    on_done: Callable[[], None] = lambda: None,
    dataset: Sequence[Sample] = (),
) -> Outcome:
    """Evaluate every sample; `on_done` is called after each.

    Writes `per_image.csv` and `mattes/<id>.png` to `folder`. Existing rows are kept if the photo,
    its truth, the candidate and this package's version are the same; the model is loaded only if
    others are needed. Such rows of other photos in `dataset`, from which `samples` were chosen, are
    kept, too. An error of one photo becomes a `Failure`. The next run can continue after an
    interruption at any point.
    """
    table = folder / TABLE
    (folder / MATTES).mkdir(parents=True, exist_ok=True)
    known = {record.id: record for record in read_records(table)}  # the last one of an id counts
    write_records(table, known.values())  # without an incomplete row
    records, failures = [], []
    with ExitStack() as stack:
        predict: Predict | None = None
        for sample in samples:
            try:
                key = _key(candidate, sample)
                record = known.get(sample.id)
                if record is None or record.key != key or not matte_path(folder, sample).is_file():
                    predict = predict or stack.enter_context(candidate.open())
                    record = _judge(sample, key, predict, matte_path(folder, sample))
                    append_record(table, record)
            except (ConfigurationError, DeviceFailure):
                raise
            except Exception as error:  # whatever it is, it concerns this image
                failures.append(Failure(sample.id, str(error) or repr(error)))
            else:
                records.append(record)
            on_done()
    write_records(table, _in_order(candidate, records, samples, known, dataset))
    return Outcome(candidate.name, candidate.source, folder, records, failures)


def result_folders(
    candidates: Sequence[Candidate], dataset: Sequence[Sample], out: Path
) -> list[Path]:
    """The folder of each candidate: `out` itself for a single one, else `out/<name>`.

    The results of a single candidate move to the folder of its name when others are added, and stay
    there.
    """
    named = [out / candidate.name for candidate in candidates]
    if len(candidates) == 1:
        return named if (named[0] / TABLE).is_file() else [out]
    records = {record.id: record for record in read_records(out / TABLE)}
    for candidate, folder in zip(candidates, named, strict=True):
        if not folder.exists() and any(
            sample.id in records and is_current(records[sample.id], candidate, sample)
            for sample in dataset
        ):
            folder.mkdir()
            for name in (MATTES, TABLE):
                if (out / name).exists():
                    (out / name).rename(folder / name)
            break
    return named


def matte_path(folder: Path, sample: Sample) -> Path:
    """The path of a candidate's matte of a sample."""
    return folder / MATTES / f"{sample.id}.png"


def is_current(record: Record, candidate: Candidate, sample: Sample) -> bool:
    """Whether evaluating the sample again would give this record."""
    try:
        return record.key == _key(candidate, sample)
    except OSError:  # the prediction or the photo no longer exists
        return False


def _in_order(
    candidate: Candidate,
    records: Sequence[Record],
    samples: Sequence[Sample],
    known: Mapping[str, Record],
    dataset: Sequence[Sample],
) -> list[Record]:
    """The records of the samples, and those known of the rest of the dataset, in its order."""
    judged = {record.id: record for record in records}
    chosen = {sample.id for sample in samples}
    for sample in dataset:
        record = known.get(sample.id)
        if record and sample.id not in chosen and is_current(record, candidate, sample):
            judged[sample.id] = record
    return [judged[sample.id] for sample in dataset or samples if sample.id in judged]


def _key(candidate: Candidate, sample: Sample) -> str:
    """Digest of everything that a record depends on."""
    version = importlib.metadata.version("rmbg-service")
    parts = (version, candidate.identity(sample), sample_digest(sample))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _judge(sample: Sample, key: str, predict: Predict, path: Path) -> Record:
    prediction = predict(sample)
    matte, truth = prediction.matte, load_matte(sample.alpha)
    shadow = load_shadow(sample.shadow) if sample.shadow else None
    photo = load_rgb(sample.image)  # for the report; ready predictions do not need it
    for what, array in (("photo", photo), ("prediction", matte), ("shadow mask", shadow)):
        if array is not None and array.shape[:2] != truth.shape:
            raise InvalidImage(f"the {what} has {_size(array)} px, the truth {_size(truth)}")
    values = measure(
        matte,
        truth,
        tolerance_px=sample.tolerance_px,
        edge_level=sample.edge_level,
        shadow=shadow,
    )
    _save(matte, path)
    values["seconds"] = prediction.seconds
    return Record(sample.id, values, sample.tags, sample.gt_kind, key)


def _save(matte: Matte, path: Path) -> None:
    with atomic_replace(path) as temporary:
        Image.fromarray(np.rint(matte * 255).astype(np.uint8)).save(temporary, "PNG")


def _size(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
